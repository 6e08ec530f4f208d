"""Reads the Markdown pages of the project: their blocks of Python, their links, and their anchors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Final

from attrs import frozen
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT: Final = Path(__file__).parent.parent.parent
PAGES: Final = [
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for path in sorted(ROOT.glob(pattern))
    if not any(part.startswith((".", "_")) or part == "node_modules" for part in path.relative_to(ROOT).parts)
]
_NOT_RUN: Final = re.compile(r"<!-- not run: (.+?) -->\s*$", re.DOTALL)
_FILE: Final = re.compile(r"# ([\w/-]+\.py)\n")
_SECTION: Final = re.compile(r"(Args|Attributes|Raises|Returns|Yields|Warns):$")
_HTML_LINK: Final = re.compile(r'(?:href|src|srcset)="([^"]+)"')
_HTML_ANCHOR: Final = re.compile(r'\b(?:id|name)="([^"]+)"')


@frozen
class Block:
    """A block of Python.

    Attributes:
        page: Its page.
        line: The line of the page above its first line.
        code: The code.
        reason: Why it is not run, or `None`.
    """

    page: Path
    line: int
    code: str
    reason: str | None = None

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, which its first line tells in a comment."""
        found = _FILE.match(self.code)
        return found[1] if found else None

    @property
    def is_tests(self) -> bool:
        """Whether it has test functions, so that pytest runs it."""
        return self.file is None and any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name.lower().startswith("test")
            for node in ast.parse(self.code, self.page.name).body
        )

    def definitions(self) -> list[str]:
        """What it imports and defines."""
        kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        return [ast.unparse(node) for node in ast.parse(self.code).body if isinstance(node, kinds)]

    def compiled(self) -> object:
        """The code, with the lines that it has in the page. It may have `await` outside of functions."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        return compile("\n" * self.line + self.code, str(ROOT / self.page), "exec", flags, dont_inherit=True)


def blocks(page: Path) -> list[Block]:
    """The blocks of Python of a page, in order."""
    found, comment = [], ""
    for token in _tokens(page):
        if token.type == "fence" and token.info.split()[:1] == ["python"] and token.map:
            reason = _NOT_RUN.search(comment)
            found.append(Block(page, token.map[0] + 1, dedent(token.content), reason[1] if reason else None))
        if token.type in {"html_block", "fence", "inline"}:
            comment = token.content
    return found


def examples(docstring: str) -> list[str]:
    """The code in a docstring: indented blocks outside of the sections about arguments, errors and so on."""
    found: list[list[str]] = []
    section = inside = False
    for line in docstring.splitlines():
        indented = line.startswith("    ")
        if indented and not section:
            if not inside:
                found.append([])
            found[-1].append(line)
            inside = True
        elif line:
            section, inside = bool(_SECTION.match(line)), False
        elif inside:
            found[-1].append(line)
    return [code for code in (dedent("\n".join(lines)).strip() for lines in found) if _is_python(code)]


def _is_python(code: str) -> bool:
    """Whether this is Python that does something, and not a drawing or a quotation."""
    try:
        body = ast.parse(code).body
    except SyntaxError:
        return False
    kinds = ast.Import | ast.ImportFrom | ast.Assign | ast.With | ast.AsyncWith | ast.For | ast.AsyncFor
    return any(isinstance(node, kinds) for node in body)


def links(page: Path) -> Iterator[str]:
    """The links and pictures of a page."""
    for token in _tokens(page):
        for one in token.children or []:
            yield from (str(one.attrs[name]) for name in ("href", "src") if name in one.attrs)
            if one.type == "html_inline":
                yield from _HTML_LINK.findall(one.content)
        if token.type == "html_block":
            yield from _HTML_LINK.findall(token.content)


def anchors(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    made: set[str] = set()
    tokens = _tokens(page)
    for index, token in enumerate(tokens):
        if token.type in {"html_block", "inline"}:
            made.update(_HTML_ANCHOR.findall(token.content))
        if token.type == "heading_open":
            text = "".join(one.content for one in tokens[index + 1].children or [])
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            again = sum(1 for one in made if one == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", one))
            made.add(f"{slug}-{again}" if again else slug)
    return made


def _tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark", {"html": True}).enable("table").parse((ROOT / page).read_text("utf-8"))
