"""Chain lengths, precision against noise, machine time, and models without a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qubo_attn.common.arrays import Longs
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.machine.limits import COUPLING_ERROR, FIELD_ERROR
from qubo_attn.machine.target import Target
from qubo_attn.pictures.bars import bars, histogram
from qubo_attn.pictures.markup import count, plural, section, short, table
from qubo_attn.report.page.stages import range_of

# Facts of every submission, and the titles of their columns.
_LOGICAL = ("index", "rows", "variables", "couplers")
_HEADS = ("submission", "rows", "bits", "couplers")


def chains_section(lengths: Longs) -> str:
    """Return how many chains have how many qubits."""
    sizes, counts = np.unique(lengths, return_counts=True)
    lead = (
        "The shorter its chain, the less likely a bit is to come back broken: a chain whose qubits "
        f"disagree is settled by majority. {count(lengths.sum())} qubits stand for "
        f"{count(len(lengths))} bits, {lengths.mean():.2f} each."
    )
    rows = [
        (plural(int(size), "qubit"), float(number), plural(int(number), "chain"), "flat")
        for size, number in zip(sizes, counts, strict=True)
    ]
    return section("chains", "Chain lengths", lead, bars(rows))


def precision_section(compilation: Compilation) -> str:
    """Return how far each row's scores stand out of the machine's errors."""
    bits = compilation.precision().bits
    good = int((bits >= 1).sum())
    lead = (
        "An analog machine sets every coefficient a little wrong: fields by about "
        f"{FIELD_ERROR:g}, couplings by about {COUPLING_ERROR:g} of its unit. One bit means that "
        "what tells a row's keys apart is as large as that error; below it, the machine mostly "
        f"reads noise. <b>{count(good)} of {plural(len(bits), 'row')}</b> have at least one bit."
    )
    needed = range_of(compilation.program)
    if needed > float(np.median(bits)):
        lead += (
            f" To tell <i>all</i> coefficients of a row apart would take {needed:.1f} bits "
            "(median): differences below the error are lost."
        )
    plot = histogram(bits, "Rows by precision", "bits", 1.0, "1 bit: signal equals noise")
    return section("precision", "Precision against noise", lead, plot)


def time_section(submissions: Sequence[Mapping[str, Any]], machine: Mapping[str, Any]) -> str:
    """Return what running it on the machine takes; the facts are those of a `Report`."""
    source = "the machine states" if machine["stated"] else "is typical of its family"
    whole = machine["milliseconds"]
    total = "" if whole is None else f" In all: <b>{whole:,.0f} ms</b> of machine time."
    lead = (
        "Each submission is one programming of the machine and then many reads, each of which "
        f"answers all its rows at once: {count(machine['reads'])} reads here, timed by what "
        f"{source}.{total}"
    )
    rows = [
        [
            *(count(part[name]) for name in (*_LOGICAL, "qubits", "longest_chain")),
            " to ".join(short(strength) for strength in part["chain_strength"]),
            count(len(part["calls"])),
            "–" if part["milliseconds"] is None else f"{part['milliseconds']:,.1f}",
        ]
        for part in submissions
    ]
    heads = [*_HEADS, "qubits", "longest chain", "chain strength", "calls", "milliseconds"]
    return section("time", "Machine time", lead, table(heads, rows))


def logical_section(target: Target | None, submissions: Sequence[Mapping[str, Any]]) -> str:
    """Return what is submitted where there is no graph to embed in, or nothing left to choose."""
    if target is not None and target.is_structured:
        lead = "Nothing was left to choose: every key that is kept is kept in any case."
    elif target is None:
        lead = (
            "Compiled without a machine: the models below hold the bits themselves, for any "
            "sampler. Compile with <code>target=</code> to place them on a chip."
        )
    else:
        lead = (
            "On this target every bit may meet every other, so there is nothing to embed: its "
            "models hold the bits themselves, with whole numbers as coefficients."
        )
    rows = [[count(part[name]) for name in _LOGICAL] for part in submissions]
    return section("models", "What is submitted", lead, table(_HEADS, rows))
