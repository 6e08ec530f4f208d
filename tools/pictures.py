"""Draws the pictures in docs/images from the code, with Graphviz. `make architecture` runs it.

- `send.svg`: what `thread.send` does after each outcome of its request (`send_paths.py` runs the real code);
- `conversation-*.svg`: the states of a conversation, from its table;
- `layers.svg`: the layers of the code and the imports between them (`architecture.py`).

Each picture holds a digest of what it was drawn from. With `--check`, nothing is drawn, and Graphviz is not needed: the
exit status is 1 if a digest does not match the code.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Final

from architecture import imports
from featherhq._threads.table import COVERAGE, REGIONS, Trigger
from send_paths import ABSENT, SHOWN, Path as SendPath, paths, second_refused

IMAGES: Final = Path(__file__).parent.parent / "docs" / "images"
BLUE, GREEN, RED, AMBER, GREY = "#dbe9f6", "#dcefdc", "#f8dcdc", "#fbeccb", "#eeeeee"
HEAD: Final = """digraph {
  graph [rankdir=%s nodesep=%s ranksep=%s fontname="Helvetica" fontsize=13 pad=0.12 bgcolor="white"]
  node [shape=box style="rounded,filled" fillcolor="%s" color="#555555" margin="0.16,0.09"]
  node [fontname="Helvetica" fontsize=13]
  edge [color="#555555" fontcolor="#222222" fontname="Helvetica" fontsize=11 arrowsize=0.8]
"""
# How the ends of a send look: the text, and the color.
ENDS: Final = {
    "receipt": ("You get the receipt", GREEN),
    "receipt, reconciled": ("You get the receipt\nreconciled=True", GREEN),
    "error, delivered=False": ("The error of the request\ndelivered=False:\nyou may send it again", AMBER),
    "unknown": ("DeliveryUnknownError\ndelivered=None: check\nbefore you send it again", RED),
}
STATES: Final = {
    "CLOSED": "no stream; one will be opened",
    "OPENING": "a stream is requested",
    "OPEN": "messages come at once",
    "RENEWING": "open, and the next one is requested",
    "REFUSED": "no stream for a while; the list is read instead",
    "COVERED": "everything was seen",
    "GAP": "messages may be missing",
    "DOUBTFUL": "the list was read, but it may have lagged",
    "PARTIAL": "the list was read, but only a part of it",
    "IDLE": "the list is not read",
    "RUNNING": "the list is being read",
    "FAILED": "it will be read again",
}
TRIGGERS: Final = {
    Trigger.CONNECT: "a stream is requested",
    Trigger.OPENED: "it is open",
    Trigger.OPEN_FAILED: "it could not be opened",
    Trigger.REFUSED: "the server refuses it",
    Trigger.LOST: "the stream ended, broke, or fell silent",
    Trigger.INCOMPLETE: "it left out messages twice",
    Trigger.NO_STREAM: "there is no stream",
    Trigger.SCAN: "the list is requested",
    Trigger.SCANNED: "it was read",
    Trigger.SCAN_FAILED: "it could not be read",
    Trigger.SAW_ALL: "the list has shown all",
    Trigger.SAW_EARLY: "the list was read so early that it may lag",
    Trigger.SAW_PART: "the list was read from a later message on",
    Trigger.SAW_WITHOUT_STREAM: "the list was read without a stream",
}


NONE_LEFT: Final = "no time or retry is left"

# What follows a search, by what the thread shows.
Ends = tuple[tuple[str, str], ...]


def node(name: str, text: str, color: str = BLUE) -> str:
    """A box. Lines that begin with a bullet stand at its left side."""
    lines = [_quoted(line) + ("\\l" if line.startswith("•") else "\\n") for line in text.split("\n")]
    return f'  "{name}" [label="{"".join(lines)}" fillcolor="{color}"]\n'


def edge(start: str, end: str, text: str = "", more: str = "") -> str:
    """An arrow with a text."""
    lines = "".join(f" {line}\\l" for line in _quoted(text).split("\\n")) if text else ""
    return f'  "{start}" -> "{end}" [label="{lines}" {more}]\n'


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def send() -> str:
    """The life of a `send`: the outcomes with the same consequences share a text."""
    groups: dict[SendPath, list[str]] = {}
    for outcome, path in paths():
        groups.setdefault(path, []).append(outcome)
    lines = [HEAD % ("LR", 0.12, 0.16, BLUE), node("send", "thread.send(text)\nsends a request")]
    searches: dict[Ends, str] = {}
    ends: set[str] = set()
    for number, (path, outcomes) in enumerate(groups.items()):
        lines.append(edge("send", f"outcome {number}", "", "arrowhead=none"))
        if path.step == "look":
            known = searches.setdefault(path.ends, f"look {len(searches)}")
            outcomes.append("→ until the deadline" if path.seconds is None else f"→ for {path.seconds} s")
            lines.append(edge(f"outcome {number}", known))
        elif path.step == "wait":
            lines.append(node("wait", "Wait, and send it again\nafter 0.5 s, 1 s, 2 s … 8 s,\nor as Retry-After says"))
            lines += [edge(f"outcome {number}", "wait"), edge("wait", path.exhausted, NONE_LEFT)]
            ends.add(path.exhausted)
        else:
            lines.append(edge(f"outcome {number}", path.step))
            ends.add(path.step)
        lines.append(_outcomes(number, outcomes))
    for found, name in searches.items():
        lines += _search(name, found, next(path for path in groups if path.ends == found))
        ends |= {end for _, end in found if end != "send"}
    last = tuple(second_refused().items())
    if last not in searches:
        raise SystemExit("the picture of send has no place for a refused second copy")
    lines += [_outcomes(len(groups), ["a second copy is refused"])]
    lines.append(edge(f"outcome {len(groups)}", searches[last]))
    lines.append(edge("send", f"outcome {len(groups)}", "", "arrowhead=none"))
    lines += [node(end, *ENDS[end]) for end in ENDS if end in ends]
    texts = " ".join(f'"outcome {number}"' for number in range(len(groups) + 1))
    lines.append(f"  {{rank=same; {texts}}}\n")
    return "".join([*lines, "}\n"])


def _outcomes(number: int, texts: list[str]) -> str:
    """The outcomes of a request, as a text without a box."""
    lines = "".join(f"{_quoted(line)}\\l" for text in texts for line in text.split("\n"))
    return f'  "outcome {number}" [label="{lines}" shape=plaintext style="" fontsize=12 margin="0.05,0.03"]\n'


def _search(name: str, found: Ends, path: SendPath) -> list[str]:
    """A search, and what follows what the thread shows."""
    again = dict(found)[ABSENT] == "send"
    others = [search for search, end in found if search != SHOWN and end != "send"]
    text = "Look for the message in the thread\n"
    text += f"If {ABSENT},\nsend it again" if again else "Never send it again"
    lines = [node(name, text), edge(name, dict(found)[SHOWN], SHOWN)]
    if again:
        lines.append(edge(name, path.exhausted, f"{ABSENT},\nand {NONE_LEFT}"))
    return [*lines, edge(name, dict(found)[others[-1]], "\n".join(others) if again else "anything else")]


def region(name: str) -> Callable[[], str]:
    """A function that draws the states of a region of the conversation."""

    def draw() -> str:
        table = REGIONS[name]
        lines = [HEAD % ("TB", 0.6, 0.45, BLUE), node("begin", name, GREY), edge("begin", next(iter(table)).name)]
        for state, row in table.items():
            lines.append(node(state.name, f"{state.name}\n{STATES[state.name]}", _color(state.name)))
            reached: dict[str, list[str]] = {}
            for trigger, after in row.items():
                # A state that stays as it is needs no arrow.
                if after is not state:
                    reached.setdefault(after.name, []).append(TRIGGERS[trigger])
            lines += [edge(state.name, after, "\n".join(texts)) for after, texts in reached.items()]
        return "".join([*lines, "}\n"])

    return draw


def coverage() -> str:
    """The states of the coverage. The next state depends on what has happened, and not on the state before."""
    rows = list(COVERAGE.items())
    missing, open_rows = rows[1][1], [row for _, row in rows[1:]]
    if any(row != missing for row in open_rows):
        raise SystemExit("coverage: the rows differ now, so the picture must be drawn in another way")
    lines = [HEAD % ("TB", 0.5, 0.5, BLUE), "  graph [compound=true]\n", node("begin", "coverage", GREY)]
    first = rows[0][0].name
    lines += [edge("begin", first), node(first, f"{first}\n{STATES[first]}", _color(first))]
    label = "Not covered. Whichever of these happens, the state is the one of its box."
    lines.append(f'  subgraph cluster {{ label="{label}" style=rounded\n')
    why: dict[str, list[str]] = {}
    for trigger, after in missing.items():
        why.setdefault(after.name, []).append(TRIGGERS[trigger])
    for state, _ in rows[1:]:
        causes = "\n".join(f"• {text}" for text in why[state.name])
        text = f"{state.name}: {STATES[state.name]}\n{causes}"
        lines.append(node(state.name, text, _color(state.name)))
    names = [state.name for state, _ in rows[1:]]
    lines += [f'    "{one}" -> "{other}" [style=invis]\n' for one, other in pairwise(names)]
    lines.append("  }\n")
    lines.append(edge(first, names[0], "", "lhead=cluster"))
    lines.append(edge(names[0], first, "\n".join(why[first]), "ltail=cluster"))
    return "".join([*lines, "}\n"])


def _color(state: str) -> str:
    good, bad = {"OPEN", "RENEWING", "COVERED", "IDLE"}, {"REFUSED", "GAP", "FAILED"}
    return GREEN if state in good else AMBER if state in bad else BLUE


def layers() -> str:
    """The layers of the code, and the number of imports between them."""
    labels, edges = imports()
    lines = [HEAD % ("TB", 0.4, 0.45, BLUE)]
    lines += [node(name, text.replace("<br>", "\n")) for name, text in labels.items()]
    lines += [edge(here, there, str(count)) for (here, there), count in edges]
    return "".join([*lines, "}\n"])


# Each picture: what draws it, its title, and what it shows, for those who do not see it.
PICTURES: Final[dict[str, tuple[Callable[[], str], str, str]]] = {
    "send": (
        send,
        "The life of a send",
        (
            "A request that is accepted gives a receipt. One that was refused before any work, or never left, is "
            "sent again after a wait. One that is refused for good ends in the server's error. If its outcome is "
            "unknown, the message is looked for in the thread. If the thread shows it, you get its receipt. If the "
            "server is done and the thread does not show it, it is sent again. Otherwise you get a "
            "DeliveryUnknownError."
        ),
    ),
    "conversation-stream": (
        region("stream"),
        "A conversation: its stream",
        "Closed, opening, open, renewing, refused, and what leads from one to another.",
    ),
    "conversation-coverage": (
        coverage,
        "A conversation: whether it has seen everything",
        "Covered; or not covered: gap, doubtful, partial; and what leads from one to another.",
    ),
    "conversation-scan": (
        region("scan"),
        "A conversation: whether it reads the list",
        "Idle, running, failed, and what leads from one to another.",
    ),
    "layers": (
        layers,
        "The layers of the code",
        "Boxes from the public classes down to the errors, with the number of imports between them.",
    ),
}


def digest(drawing: str, title: str, about: str) -> str:
    """What a picture holds of its source."""
    return f"<!-- drawn from the code by `make architecture`, do not edit: {_sum(drawing + title + about)} -->"


def _sum(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def as_svg(drawing: str, title: str, about: str) -> str:
    """Run Graphviz. The picture gets a title and a description. Its background is white also on a dark page."""
    dot = shutil.which("dot") or sys.exit("dot is missing: run `make architecture`, which installs it")
    made = subprocess.run([dot, "-Tsvg"], input=drawing, capture_output=True, text=True, check=True).stdout  # noqa: S603
    made = made[made.index("<svg") :]
    made = re.sub(r"<!--.*?-->\n?", "", made, flags=re.DOTALL)
    made = re.sub(r"<title>.*?</title>\n?", "", made, flags=re.DOTALL)
    made = made.replace("Helvetica", "Helvetica,Arial,sans-serif")
    named = f'<title id="title">{escape(title)}</title>\n<desc id="about">{escape(about)}</desc>\n'
    head, _, rest = made.partition(">")
    return f'{digest(drawing, title, about)}\n{head} role="img" aria-labelledby="title about">\n{named}{rest.lstrip()}'


def main() -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="draw nothing, and fail if a picture is out of date")
    given = parser.parse_args()
    stale = []
    for name, (draw, title, about) in PICTURES.items():
        file, drawing = IMAGES / f"{name}.svg", draw()
        if given.check:
            if not file.exists() or digest(drawing, title, about) not in file.read_text("utf-8"):
                stale.append(file)
        else:
            file.write_text(as_svg(drawing, title, about), "utf-8")
    for file in stale:
        print(f"{file}: the code has changed: run `make architecture`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
