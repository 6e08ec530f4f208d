"""What a thread can do, as flows: send and its ledger, history, conversations. No I/O, no clock, no HTTP library."""
