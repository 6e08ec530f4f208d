"""What helps to use featherhq in other frameworks. Each module needs an extra of its own."""
