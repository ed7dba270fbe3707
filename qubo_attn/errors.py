"""What can go wrong, as types.

::

    QuboAttnError
    ├── InputError          scores, values, masks, options: names the argument, head, query, key
    ├── ParseError          text of a program that does not read: line and column
    ├── VerifyError         a malformed program: names the variable or constraint
    ├── PassError           a pass that cannot run
    │   └── OrderError      passes in an order that cannot work
    ├── InfeasibleError     constraints that contradict each other: names them
    ├── PromiseError        a rewrite that broke its promise
    ├── TargetError         a working graph that does not read, or an unknown topology
    │   └── SubmissionError a submission that a machine would turn down: names qubit or coupler
    ├── EmbeddingError      no placement: says how many keys would fit
    ├── DecodeError         samples that do not belong to the submission
    ├── WorkerError         a process of a batch that was lost: names the first item missing
    └── MissingExtraError   an optional package is not installed: says how to
"""

from __future__ import annotations


class QuboAttnError(Exception):
    """Base of every error this package raises.

    Every keyword given is kept as an attribute, so that callers need not read the message.

    Example:
        >>> error = QuboAttnError("no key left", head=2, query=0)
        >>> error.head
        2
    """

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.facts = facts

    def __getattr__(self, name: str) -> object:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(name)


class InputError(QuboAttnError, ValueError):
    """An argument that cannot be compiled; names it and where in it the trouble is."""


class ParseError(QuboAttnError, ValueError):
    """Program text that does not read; carries ``line`` and ``column`` (both from 1)."""


class VerifyError(QuboAttnError, ValueError):
    """A malformed program; carries ``code`` and ``where``."""


class PassError(QuboAttnError):
    """A pass that cannot run on the program it was given."""


class OrderError(PassError):
    """Passes in an order that cannot work; the message says which to move and why."""


class InfeasibleError(QuboAttnError):
    """Constraints that no assignment satisfies; carries their ``labels``."""


class PromiseError(QuboAttnError):
    """A rewrite whose promise does not hold on a checked point."""


class TargetError(QuboAttnError, ValueError):
    """A target that cannot be read or is not known."""


class SubmissionError(TargetError):
    """A submission that a machine would turn down.

    Carries ``code`` and ``submission`` and, as the case is, ``qubit``, ``coupler``, ``variable``,
    ``found`` and ``limits``.
    """


class EmbeddingError(QuboAttnError):
    """A problem that does not fit; carries ``requested`` and ``fits`` (keys a row may have)."""


class DecodeError(QuboAttnError, ValueError):
    """Sample sets that do not belong to the compiled submissions."""


class WorkerError(QuboAttnError):
    """Processes that were lost while they compiled a batch.

    Carries ``item``, the first that is missing, and ``losses``, how often it was lost.
    """


class MissingExtraError(QuboAttnError, ImportError):
    """An optional package that is not installed; carries the ``extra`` that brings it."""
