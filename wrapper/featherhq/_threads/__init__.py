"""What a thread can do, as flows: send a message, read the history, hold a conversation.

The code here does no I/O, reads no clock, and imports no HTTP library.
"""
