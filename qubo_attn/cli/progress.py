"""What a command is doing, on one line of standard error, while somebody waits.

On a terminal the line is written over and over, and goes in the end. Elsewhere the compilation of
kernels is told, in plain lines, as it alone takes long and happens once; and the steps after it.
How many kernels there are in all is what the usual run of the command compiles and is not kept yet.
No time is foretold.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from qubo_attn.common.compiling import compilations

# Seconds between looks, and between plain lines.
_LOOK, _PLAIN = 0.2, 1.5
# Kernels that are compiled in less time are not worth a plain line.
_SOON = 0.5


class _Line:
    """The line, kept up to date by a thread.

    Attributes:
        step: what is going on besides, as text; nothing where it is empty.
        command: returns the name of the command.
    """

    def __init__(self, stream: TextIO, command: Callable[[], str]) -> None:
        self.step, self.command = "", command
        self._total: int | None = None
        self._stream, self._terminal = stream, stream.isatty()
        self._before, self._start = compilations.finished, compilations.seconds
        self._shown, self._told = "", 0.0
        self._over, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the line off; say what was compiled."""
        self._over.set()
        self._thread.join()
        self.clear()
        if self._told:
            spent = f"{self._count}, in {self._seconds:.0f} s"
            self._write(f"kernels compiled: {spent}; they are kept\n")

    def clear(self) -> None:
        """Take the line off until there is more to show, so that other text may stand there."""
        with self._lock:
            self.step = ""
            if self._shown and self._terminal:
                self._write("\r\x1b[K")
            self._shown = ""

    @property
    def _count(self) -> int:
        return compilations.finished - self._before

    @property
    def _seconds(self) -> float:
        return compilations.seconds - self._start

    def _run(self) -> None:
        while not self._over.wait(_LOOK):
            with self._lock:
                self._look()

    def _look(self) -> None:
        compiling = compilations.under_way and self._seconds > _SOON
        text = self.step
        if compiling:
            text = f"compiling kernels, once: {self._share()}, {self._seconds:.0f} s"
        if self._terminal and text != self._shown:
            self._write(f"\r\x1b[K{text}")
            self._shown = text
        now = time.monotonic()
        # Whoever was told of kernels waits for what comes after them as well.
        if (compiling or (self._told and text)) and now - self._told >= _PLAIN:
            self._told = now
            if not self._terminal:
                self._write(f"{text}\n")

    def _share(self) -> str:
        """Return how many kernels are compiled, and of how many where that is known."""
        if self._total is None:
            # Here, as it loads what kernels are made with; whoever compiles has loaded that.
            from qubo_attn.cli.usual import left_to_compile

            self._total = self._count + left_to_compile(self.command())
        count = self._count
        return f"{count} of about {self._total}" if count < self._total else f"{count} so far"

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads it any more
            self._over.set()


_line: _Line | None = None


@contextmanager
def shown(command: Callable[[], str] = str) -> Iterator[None]:
    """Show what goes on within, above all the compilation of kernels.

    Args:
        command: returns its name; nothing where there is none.
    """
    global _line
    with compilations.watching():
        _line = _Line(sys.stderr, command)
        try:
            yield
        finally:
            line, _line = _line, None
            line.close()


def clear() -> None:
    """Take the line off before something else is written."""
    if _line is not None:
        _line.clear()


@contextmanager
def progress(title: str, steps: int | None) -> Iterator[Callable[[str], None]]:
    """Show the step that a command is at, where a terminal is.

    Args:
        title: name of the work.
        steps: number of its steps; None where nobody knows.

    Yields:
        A function to call with the name of every step that begins.
    """
    begun = 0

    def step(name: str) -> None:
        nonlocal begun
        begun += 1
        if _line is not None:
            share = "" if steps is None else f", {min(begun, steps)} of {steps}"
            _line.step = f"{title}: {name}{share}"

    try:
        yield step
    finally:
        clear()
