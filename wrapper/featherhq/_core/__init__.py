"""The core: effects, attempts, retries, the rate limit, event streams, pages. No I/O, no clock, no HTTP library."""
