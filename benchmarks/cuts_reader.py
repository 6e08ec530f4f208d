"""Reads one conversation until it is killed, and stores each message together with the bookmark after it.

python cuts_reader.py URL KEY THREAD_ID STORE
"""

from __future__ import annotations

import sqlite3
import sys

from featherhq import Feather


def main(url: str, key: str, thread_id: str, path: str) -> None:
    """Read from the stored bookmark on."""
    store = sqlite3.connect(path, isolation_level=None, timeout=30)
    (place,) = store.execute("SELECT bookmark FROM place").fetchone()
    with Feather(key, base_url=url, rate_limit=None) as feather:
        conversation = feather.thread(thread_id).conversation(after=place)
        print(end=".", flush=True)
        with conversation as chat:
            for message in chat:
                # In one transaction: either both are stored, or neither is.
                store.execute("BEGIN IMMEDIATE")
                store.execute("INSERT INTO messages (text) VALUES (?)", [message.text])
                store.execute("UPDATE place SET bookmark = ?", [chat.bookmark])
                store.execute("COMMIT")


if __name__ == "__main__":
    main(*sys.argv[1:])
