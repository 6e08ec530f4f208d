"""Start the web chat over a sandbox: a Feather on this machine. `make webchat` runs it.

The folder of the argument keeps the threads, the ledger and the secret of the cookies, so that a chat goes on after a
restart.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import uvicorn
from featherhq.sandbox import Sandbox

AGENT_ID = "6f1c9a52-8d0e-4b7a-9c55-0f6f2c9e4b11"


def main(folder: Path, port: int) -> None:
    """Run both until Ctrl-C."""
    folder.mkdir(parents=True, exist_ok=True)
    secret = folder / "secret"
    if not secret.exists():
        secret.write_text(secrets.token_hex(32))
    with Sandbox(keep=folder / "threads.sqlite") as sandbox:
        os.environ |= {
            "FEATHER_API_KEY": sandbox.api_key,
            "FEATHER_BASE_URL": sandbox.url,
            "AGENT_ID": AGENT_ID,
            "SESSION_SECRET": secret.read_text(),
            "LEDGER": str(folder / "ledger.sqlite"),
            "HTTPS": "false",
        }
        print(f"The web chat listens on http://127.0.0.1:{port}. Press Ctrl-C to stop it.", flush=True)
        uvicorn.run("app:app", app_dir=str(Path(__file__).parent), port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
