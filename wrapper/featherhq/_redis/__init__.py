"""What is kept on Redis, for all processes of a program. The only folder that knows the package `redis`."""
