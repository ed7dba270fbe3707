"""Tries: how often something is tried again, and how long to wait before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from qubo_attn.common.checks import number, whole
from qubo_attn.common.keywords import named_fields
from qubo_attn.errors import InputError

# Of one call: more means that something is wrong.
MOST_TRIES = 1000


@named_fields
@dataclass(frozen=True)
class Retry:
    """How often a job tries again, and how long it waits.

    The wait doubles from ``pause`` up to ``longest``; where a service says how long to wait
    (``Retry-After``), it waits that long at least.

    Attributes:
        tries: of each call, and of each request that the service does not answer.
        pause: seconds before the second try.
        longest: seconds between two tries at most.
        clock: returns seconds that only grow.
        sleep: waits for some seconds.

    Raises:
        InputError: a figure is out of range; names it.

    Example:
        >>> import qubo_attn as qa
        >>> retry = qa.Retry(tries=4, pause=1.0, longest=3.0)
        >>> [retry.wait(failures) for failures in (1, 2, 3)], retry.wait(1, asked=10.0)
        ([1.0, 2.0, 3.0], 10.0)
    """

    tries: int = 6
    pause: float = 0.5
    longest: float = 60.0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)
    sleep: Callable[[float], object] = field(default=time.sleep, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tries", whole("tries", self.tries, 1, MOST_TRIES))
        for name in ("pause", "longest"):
            object.__setattr__(self, name, number(name, getattr(self, name), 0, 1e6))
        for name in ("clock", "sleep"):
            if not callable(getattr(self, name)):
                raise InputError(f"{name} must be a function", argument=name)

    def wait(self, failures: int, asked: float | None = None) -> float:
        """Return seconds to wait after some failures in a row.

        Args:
            failures: how many, from 1.
            asked: seconds that the service asks for; None where it says nothing.
        """
        doubled = self.pause * 2.0 ** min(failures - 1, 60)
        return max(min(doubled, self.longest), asked or 0.0)
