"""The targets of `test_fuzz.py` under a fuzzer that watches which lines are reached. By hand, and not with the tests.

    pip install atheris
    python tests/fuzz_atheris.py TARGET -max_total_time=60 CORPUS

Without a target, their names are printed.
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """Run the target that is named; what follows its name is libFuzzer's."""
    fuzzer = importlib.import_module("atheris")
    with fuzzer.instrument_imports(include=["featherhq", "json", "email"]):
        targets = importlib.import_module("test_fuzz").TARGETS
    if len(sys.argv) == 1:
        sys.stdout.write("\n".join([*targets, ""]))
        return
    fuzzer.Setup([sys.argv[0], *sys.argv[2:]], targets[sys.argv[1]])
    fuzzer.Fuzz()


if __name__ == "__main__":
    main()
