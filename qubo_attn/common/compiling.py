"""Word of kernels that are being compiled, for whoever waits for them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Compilations:
    """What this process has compiled so far.

    Attributes:
        finished: kernels compiled, one for each signature.
        under_way: kernels being compiled, each for the one before it.
        watched: whether somebody shows these numbers; else one line is logged when they begin to
            change.
    """

    finished: int = 0
    under_way: int = 0
    watched: bool = False
    _seconds: float = 0.0
    _start: float = 0.0

    def begin(self) -> None:
        """Note that a kernel is about to be compiled."""
        if not self.under_way:
            self._start = time.perf_counter()
            if not self.finished and not self.watched:
                # Of a level that Python shows where nobody set logging up: the wait looks hung.
                logging.getLogger("qubo_attn").warning(
                    "compiling kernels, once: they are kept for later processes "
                    "(`qubo-attn warm` does it ahead)"
                )
        self.under_way += 1

    def end(self) -> None:
        """Note that the last kernel begun is compiled."""
        self.finished += 1
        self.under_way = max(self.under_way - 1, 0)
        if not self.under_way:
            self._seconds += time.perf_counter() - self._start

    @property
    def seconds(self) -> float:
        """Wall time spent on compiling, that of kernels under way included."""
        running = time.perf_counter() - self._start if self.under_way else 0.0
        return self._seconds + running

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Log nothing: the caller shows what is going on."""
        before, self.watched = self.watched, True
        try:
            yield
        finally:
            self.watched = before


compilations = Compilations()
