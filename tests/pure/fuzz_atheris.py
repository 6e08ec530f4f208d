"""Run a target of `fuzz_targets.py` under Atheris, a fuzzer that watches which lines run. It is not one of the tests.

    pip install atheris
    python tests/pure/fuzz_atheris.py TARGET -max_total_time=60 CORPUS

Without a target, it prints the names of all targets.
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """Run the named target. All arguments after its name are for libFuzzer."""
    fuzzer = importlib.import_module("atheris")
    with fuzzer.instrument_imports(include=["featherhq", "json", "email"]):
        targets = importlib.import_module("fuzz_targets").TARGETS
    if len(sys.argv) == 1:
        sys.stdout.write("\n".join([*targets, ""]))
        return
    fuzzer.Setup([sys.argv[0], *sys.argv[2:]], targets[sys.argv[1]])
    fuzzer.Fuzz()


if __name__ == "__main__":
    main()
