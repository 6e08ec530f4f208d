"""What helps to use featherhq in web services and in other frameworks. Some modules need an extra of their own."""
