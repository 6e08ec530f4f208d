"""The asynchronous classes. `make generate` makes the synchronous ones, `_sync`, from them."""
