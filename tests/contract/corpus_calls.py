"""Call each generated function of a package with many responses, and judge what comes of it.

    PYTHONPATH=wrapper:generated python tests/contract/corpus_calls.py pages.json report.json

The package is the `featherhq_api` of PYTHONPATH. It was generated from the pages. Nothing here imports a tool.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.util
import json
import pkgutil
import re
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import featherhq_api.api
import featherhq_api.models
import featherhq_api.types
from corpus_arguments import Arguments, NoArgumentError
from corpus_hints import Hints
from corpus_operations import Operation, operations
from corpus_outcomes import Judge
from corpus_page import Page
from corpus_report import FOREIGN, NO_ARGUMENT, NO_FUNCTION, SECURITY, SENT, Report, told
from corpus_sent import faults
from corpus_server import Server
from corpus_texts import with_texts
from featherhq import AsyncFeather, Feather, FeatherError

_HOLE: Final = re.compile(r"\{[^{}]*\}")
# No body has it in it: errors hide it.
_KEY: Final = "corpus-api-key-7f3a"
_AUTHORIZATION: Final = {"Authorization": "Bearer x"}
_VARIANTS: Final = 3
Call = Callable[[dict[str, Any], bool], Any]


def modules() -> dict[tuple[str, str], str]:
    """The generated module for each method and path. The names of parameters in the path do not count."""
    found = {}
    for one in pkgutil.walk_packages(featherhq_api.api.__path__, "featherhq_api.api."):
        spec = importlib.util.find_spec(one.name)
        if one.ispkg or spec is None or spec.origin is None:
            continue
        for node in ast.walk(ast.parse(Path(spec.origin).read_text("utf-8"))):
            if isinstance(node, ast.Dict):
                keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
                if "method" in keys and "url" in keys:
                    texts = [_constant(node.values[keys.index(name)]) for name in ("method", "url")]
                    found[texts[0].upper(), _HOLE.sub("{}", texts[1])] = one.name
    return found


def _constant(node: ast.AST) -> str:
    """The first text in an expression."""
    return next(
        str(one.value) for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    )


def names() -> dict[str, Any]:
    """The names that annotations of generated code use."""
    models = featherhq_api.models
    made = {name: getattr(models, name) for name in getattr(models, "__all__", ())}
    return {
        **made,
        "UNSET": featherhq_api.types.UNSET,
        "Unset": featherhq_api.types.Unset,
        "File": featherhq_api.types.File,
    }


class Clients:
    """A client of each kind."""

    def __init__(self, url: str) -> None:
        options: dict[str, Any] = {"base_url": url, "max_retries": 0, "rate_limit": None, "timeout": 20}
        self._runner = asyncio.Runner()
        self._feather = Feather(_KEY, **options)
        self._async_feather = AsyncFeather(_KEY, **options)

    def calls(self, module: types.ModuleType) -> Iterator[tuple[str, Call]]:
        """The functions of a module, to be called with arguments, and with or without the header of Bearer."""

        def sync(arguments: dict[str, Any], authorized: bool) -> Any:
            view = self._feather.with_options(headers=_AUTHORIZATION) if authorized else self._feather
            return module.sync_detailed(**arguments, client=view.api)

        def asynchronous(arguments: dict[str, Any], authorized: bool) -> Any:
            view = self._async_feather.with_options(headers=_AUTHORIZATION) if authorized else self._async_feather

            async def run() -> Any:
                return await module.asyncio_detailed(**arguments, client=view.api)

            return self._runner.run(run())

        yield "sync", sync
        yield "async", asynchronous

    def close(self) -> None:
        self._feather.close()
        self._runner.run(self._async_feather.aclose())
        self._runner.close()


class Caller:
    """Calls the functions of a package.

    Args:
        report: Where it notes what it finds.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._server = Server()
        self._clients = Clients(self._server.url)
        self._modules = modules()
        self._hints = Hints(names())

    def run(self, operation: Operation) -> None:
        """Call the function of an operation with all that there is to try."""
        self._report.operations += 1
        name = self._modules.get((operation.method, _HOLE.sub("{}", operation.path)))
        if name is None:
            self._report.add(NO_FUNCTION, operation, "no module has its method and path")
            return
        begun = time.monotonic()
        try:
            module = importlib.import_module(name)
            promised = self._hints.of(module.sync_detailed)["return"]
            self._call(operation, module, promised)
        except NoArgumentError as error:
            self._report.add(NO_ARGUMENT, operation, str(error))
        except Exception as error:  # noqa: BLE001 - an import of generated code may raise anything
            self._report.add(FOREIGN, operation, told(error))
        self._report.seconds[str(operation)] = time.monotonic() - begun

    def _call(self, operation: Operation, module: types.ModuleType, promised: Any) -> None:
        judge = Judge(operation, promised, self._hints, self._report)
        authorized = operation.security in {"bearer", "both"}
        plan = judge.plan()
        for kind, call in self._clients.calls(module):
            if operation.security == "bearer":
                self._refused(operation, module, kind, call)
            accepted = self._send(operation, module, kind, call)
            for number, planned in enumerate(plan):
                if not planned.admitted(accepted):
                    judge.unadmitted(planned, accepted)
                elif planned.always or number % 2 == (kind == "sync"):
                    self._server.answer_with(planned.status, planned.served, planned.body.content)
                    made = self._arguments(operation, module)
                    outcome = self._outcome(call, made, authorized=authorized)
                    judge.judge(planned, outcome)
        judge.close()

    def _arguments(self, operation: Operation, module: types.ModuleType, variant: int = -1) -> dict[str, Any]:
        """Arguments for the functions of a module: all of them, or for the variant -1 only those that it needs."""
        made = Arguments(self._hints, max(variant, 0), optional=variant >= 0)
        given, texts = with_texts(operation, made.for_function(module.sync_detailed), max(variant, 0))
        # Both kinds of function take the same arguments.
        self._report.texts += texts if variant >= 0 else 0
        return given

    def _outcome(self, call: Call, arguments: dict[str, Any], *, authorized: bool) -> Any:
        """What a call returns or raises."""
        self._report.calls += 1
        self._server.seen.clear()
        try:
            return call(arguments, authorized)
        except Exception as error:  # noqa: BLE001 - what else may come is what is judged
            return error

    def _send(self, operation: Operation, module: types.ModuleType, kind: str, call: Call) -> str:
        """Call the function with different arguments, and judge the requests. Returns their `Accept`."""
        accepted = ""
        self._server.answer_with(404, "application/json", b'{"message": "gone"}')
        for variant in range(-1, _VARIANTS):
            full = variant >= 0
            given = self._arguments(operation, module, variant)
            authorized = operation.security in {"bearer", "both"} or (operation.security == "either" and variant == 1)
            outcome = self._outcome(call, given, authorized=authorized)
            seen = list(self._server.seen)
            if not isinstance(outcome, FeatherError) or len(seen) != 1:
                what = told(outcome) if isinstance(outcome, Exception) else f"404 became {outcome!r:.200}"
                foreign = isinstance(outcome, Exception) and not isinstance(outcome, FeatherError)
                self._report.add(FOREIGN if foreign else SENT, operation, f"{what}; {len(seen)} requests")
                continue
            accepted = seen[0].headers.get("accept", "*/*")
            for fault in faults(operation, seen[0], given, full=full):
                self._report.add(SENT, operation, f"{kind} {'full' if full else 'minimal'} {variant}: {fault}")
            for fault in _key_faults(operation, seen[0].headers, authorized=authorized):
                self._report.add(SECURITY, operation, fault)
        return accepted

    def _refused(self, operation: Operation, module: types.ModuleType, kind: str, call: Call) -> None:
        """Without the header of Bearer, nothing may be sent."""
        given = self._arguments(operation, module)
        outcome = self._outcome(call, given, authorized=False)
        if not isinstance(outcome, FeatherError) or self._server.seen:
            what = told(outcome) if isinstance(outcome, Exception) else "it returned"
            self._report.add(
                SECURITY, operation, f"{kind}: without a token, {len(self._server.seen)} requests were sent; {what}"
            )

    def close(self) -> None:
        self._clients.close()


def _key_faults(operation: Operation, headers: dict[str, str], *, authorized: bool) -> Iterator[str]:
    """What is wrong with the headers that secure a request."""
    key, token = headers.get("x-api-key"), headers.get("authorization")
    if operation.security in {"key", "either", "both"} and not (operation.security == "either" and authorized):
        if key != _KEY:
            yield f"X-API-Key is {key}"
    elif operation.security == "bearer" and key is not None:
        yield "X-API-Key is sent, though only Bearer secures the operation"
    if token != (_AUTHORIZATION["Authorization"] if authorized else None):
        yield f"Authorization is {token}"


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    report = Report()
    caller = Caller(report)
    for data in json.loads(source.read_text("utf-8")):
        for operation in operations(Page(data["name"], data["document"])):
            caller.run(operation)
    caller.close()
    target.write_text(json.dumps(report.data()), "utf-8")


if __name__ == "__main__":
    main()
