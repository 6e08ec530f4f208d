"""What processes share through Redis. Only this folder knows the package redis. It is imported when it is needed."""
