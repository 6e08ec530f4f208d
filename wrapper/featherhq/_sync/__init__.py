# Made by `make generate` from _async/__init__.py: change that file, not this one.
"""The synchronous classes. `make generate` makes the synchronous ones, `_sync`, from them."""
