"""Which way leads to a sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qubo_attn.backend.sampler_options import check_options
from qubo_attn.errors import InputError
from qubo_attn.jobs.sampler import SamplerTransport
from qubo_attn.jobs.transport import Transport
from qubo_attn.jobs.wire_transport import WireTransport, takes_wires


def transports_of(
    sampler: object, options: dict[str, Any], own: Sequence[str] = (), *, tell_reads: bool = True
) -> list[Transport]:
    """Return the way to a sampler, or one to each of several.

    Args:
        sampler: any dimod sampler, or a `Transport` of one's own, or a list of them: all of them
            machines, or none.
        options: keywords for their ``sample``.
        own: names of other options that may have been meant.
        tell_reads: whether one that does not list its keywords is told the number of reads.

    Raises:
        InputError: there is none, machines stand beside solvers of logical models, or an option is
            none that a sampler takes; names it.
    """
    several = list(sampler) if isinstance(sampler, (list, tuple)) else [sampler]
    if not several or any(entry is None for entry in several):
        raise InputError("sampler must be a dimod sampler, or a list of such", argument="sampler")
    for entry in several:
        if not _is_transport(entry):
            check_options(entry, options, own)
    transports = [transport_of(entry, tell_reads=tell_reads) for entry in several]
    if len({transport.embedded for transport in transports}) > 1:
        raise InputError(
            "machines take embedded models, and other samplers logical ones: a job takes a list of "
            "the one or of the other",
            argument="sampler",
        )
    return transports


def transport_of(sampler: Any, *, tell_reads: bool = True) -> Transport:
    """Return the way to one sampler: wire data for a D-Wave solver, models for any other."""
    if _is_transport(sampler):
        own: Transport = sampler
        return own
    if takes_wires(sampler):
        return WireTransport(sampler)
    return SamplerTransport(sampler, tell_reads=tell_reads)


def _is_transport(sampler: object) -> bool:
    return all(hasattr(sampler, name) for name in ("send", "poll", "fetch", "find"))
