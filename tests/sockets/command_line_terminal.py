"""A terminal for the tests of the command line: a test types, and reads what the screen shows."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import threading
from collections.abc import Callable
from contextlib import suppress

import pyte

# Nothing waits so long unless something is broken.
PATIENCE = 15.0


class Screen(pyte.Screen):
    """A screen that tells programs where its cursor is, as terminals do."""

    def __init__(self, columns: int, lines: int, keyboard: int) -> None:
        super().__init__(columns, lines)
        self._keyboard = keyboard

    def write_process_input(self, data: str) -> None:
        os.write(self._keyboard, data.encode())


class Terminal:
    """A terminal whose screen can be read.

    Attributes:
        device: The number of the file that a program takes for its terminal.
    """

    def __init__(self, columns: int, lines: int = 24) -> None:
        self._keyboard, self.device = pty.openpty()
        self._screen = Screen(columns, lines, self._keyboard)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = threading.Condition()
        self.raw = b""
        fcntl.ioctl(self.device, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._keyboard, keys.encode())

    @property
    def text(self) -> str:
        """What the screen shows, without the empty space at the ends."""
        with self._changed:
            return self._shown()

    def wait_for(self, text: str | Callable[[str], bool]) -> str:
        """Wait until the screen shows a text, and return what it shows."""

        def there() -> bool:
            return text in self._shown() if isinstance(text, str) else text(self._shown())

        with self._changed:
            assert self._changed.wait_for(there, PATIENCE), self._shown()
        return self.text

    def close(self) -> None:
        os.close(self.device)
        self._reader.join(PATIENCE)
        os.close(self._keyboard)

    def _shown(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(self._keyboard, 65536):
                with self._changed:
                    self.raw += data
                    self._stream.feed(data)
                    self._changed.notify_all()
