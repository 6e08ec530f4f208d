"""The command line: `featherhq` or `python -m featherhq`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The arguments without the program's name; `None` for those of the process.

    Returns:
        The exit status: see `exits.py`, or `featherhq --help`.
    """
    try:
        from featherhq._cli.program import run
    except ImportError as error:
        sys.stderr.write(f"featherhq: the command line needs {error.name}: pip install 'featherhq[cli]'\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return run(sys.argv[1:] if arguments is None else arguments)
