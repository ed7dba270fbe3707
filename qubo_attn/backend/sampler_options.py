"""What keywords a sampler takes: its own ``parameters`` and signature say so."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

from qubo_attn.backend.solver_options import check_solver_options
from qubo_attn.common.checks import nearest, shown, whole
from qubo_attn.common.keywords import check_names
from qubo_attn.errors import InputError
from qubo_attn.machine.reads import MOST_READS
from qubo_attn.machine.sampler import machine_behind

# Of the local sampler: more take days, and their schedule more memory than there is.
MOST_SWEEPS = 10_000_000
# Keywords of many samplers: what is like one of them is meant to be it, even where a sampler takes
# whatever it is given.
_COMMON = (
    "num_reads",
    "num_sweeps",
    "annealing_time",
    "beta_range",
    "chain_strength",
    "time_limit",
)
# Experimental parameters of D-Wave's solvers, which no list names.
_UNLISTED = "x_"


def check_options(
    sampler: object,
    options: Mapping[str, object],
    own: Iterable[str] = (),
    variables: int | None = None,
) -> None:
    """Reject keywords that a sampler does not take, or a machine not for rows of attention.

    Args:
        sampler: any dimod sampler; None means the local one.
        options: keywords for its ``sample``.
        own: other names that may have been meant.
        variables: number of the program's variables; None where it is not known.

    Raises:
        InputError: names the keyword and the nearest that the sampler takes; or ``num_reads`` is
            no number of reads; or a machine takes no such value, see
            `qubo_attn.backend.solver_options`.

    Example:
        >>> check_options(None, {"num_read": 10})
        Traceback (most recent call last):
        ...
        qubo_attn.errors.InputError: SimulatedAnnealingSampler has no option 'num_read'; did you \
mean 'num_reads'? ...
    """
    local = sampler is None
    if local:
        from dwave.samplers import SimulatedAnnealingSampler

        sampler = SimulatedAnnealingSampler()
    if isinstance(sampler, type) or not callable(getattr(sampler, "sample", None)):
        raise InputError(
            f"sampler must be a dimod sampler, not {shown(sampler)}", argument="sampler"
        )
    if options.get("num_reads") is not None:
        whole("num_reads", options["num_reads"], 1, MOST_READS)
    if local:
        for name in ("num_sweeps", "num_sweeps_per_beta"):
            if options.get(name) is not None:
                whole(name, options[name], most=MOST_SWEEPS)
    machine = machine_behind(sampler)
    if machine is not None:
        check_solver_options(getattr(machine, "properties", None) or {}, options, variables)
    known, owner = options_of(sampler), type(sampler).__name__
    given = [name for name in options if not name.startswith(_UNLISTED)]
    if known is not None:
        check_names(owner, given, [*known, *own])
        return
    for name in given:
        close = "" if name in _COMMON else nearest(name, [*_COMMON, *own])
        if close:
            raise InputError(f"unknown option {name!r} of {owner}{close}", argument=name)


def check_seed(seed: object) -> int | None:
    """Return a sampler's seed, or say what it must be; None stays None.

    Raises:
        InputError: it is none that the local sampler takes.

    Example:
        >>> import numpy as np
        >>> check_seed(np.uint8(7))
        7
    """
    try:
        return None if seed is None else whole("seed", seed)
    except InputError:
        message = f"seed must be from 0 to 2^31 - 1, not {shown(seed)}"
        raise InputError(message, argument="seed", seed=seed) from None


def options_of(sampler: object) -> list[str] | None:
    """Return the keywords that a sampler's ``sample`` takes; None where only it knows.

    Example:
        >>> import dimod
        >>> options_of(dimod.RandomSampler())
        ['num_reads', 'seed']
    """
    declared = [str(name) for name in getattr(sampler, "parameters", None) or ()]
    try:
        _, *stated = inspect.signature(sampler.sample).parameters.values()  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return declared or None
    open_ended = any(p.kind is p.VAR_KEYWORD for p in stated)
    if open_ended and not declared:
        return None
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return list(dict.fromkeys([*declared, *(p.name for p in stated if p.kind in by_name)]))
