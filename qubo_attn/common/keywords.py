"""Keyword options: one that nobody knows is named, with the nearest one that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import Parameter, signature
from typing import Any, ParamSpec, TypeVar

from qubo_attn.common.checks import nearest
from qubo_attn.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")
_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def check_names(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Reject options that are not known.

    Args:
        owner: what takes the options, for the message.
        given: names of the options given.
        known: names of those there are.

    Raises:
        InputError: names the first that is not known and the nearest that is; ``argument`` is its
            name.

    Example:
        >>> check_names("schedule", ["anealing_time"], ["reads", "annealing_time"])
        Traceback (most recent call last):
        qubo_attn.errors.InputError: schedule has no option 'anealing_time'; did you mean \
'annealing_time'? It has reads, annealing_time
    """
    names = list(known)
    for name in given:
        if name not in names:
            close = nearest(name, names) or "."
            raise InputError(
                f"{owner} has no option {name!r}{close} It has {', '.join(names) or 'none'}",
                argument=name,
                known=tuple(names),
            )


def names_of(call: Callable[..., object]) -> list[str]:
    """Return the names of all parameters of a call that may be given by name.

    Example:
        >>> names_of(lambda reads, *, seed=0, **options: None)
        ['reads', 'seed']
    """
    parameters = signature(call).parameters.values()
    return [p.name for p in parameters if p.kind in _NAMED and p.name != "self"]


def named(call: Callable[P, T]) -> Callable[P, T]:
    """Return a function that says which of its keyword options it does not know.

    Args:
        call: a function or method without ``**``.

    Example:
        >>> @named
        ... def sample(reads=1, seed=0):
        ...     return reads
        >>> sample(sed=3)
        Traceback (most recent call last):
        qubo_attn.errors.InputError: sample has no option 'sed'; did you mean 'seed'? It has \
reads, seed
    """
    owner, names = call.__qualname__.removesuffix(".__init__").rpartition(".")[2], names_of(call)

    @wraps(call)
    def checked(*args: P.args, **options: P.kwargs) -> T:
        if options:
            check_names(owner, options, names)
        return call(*args, **options)

    return checked


def named_fields(made: type[T]) -> type[T]:
    """Return a class whose making says which keyword options it does not know.

    Args:
        made: a class, such as a dataclass; its ``__init__`` takes no ``**``.
    """
    maker: Any = made.__init__
    setattr(made, "__init__", named(maker))  # noqa: B010  # mypy takes no assignment to a method
    return made
