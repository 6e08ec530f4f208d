"""What every call needs: effects, attempts, retries, the rate limit, event streams, pages.

The code here does no I/O, reads no clock, and imports no HTTP library.
"""
