"""The only folder that knows an HTTP library: runners for threads and tasks, connections, and their errors."""
