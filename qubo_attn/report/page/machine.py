"""Chain lengths, what a warm machine returns, machine time, and models without a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qubo_attn.backend.precision import DROWNS
from qubo_attn.common.arrays import Floats, Longs
from qubo_attn.common.words import plural
from qubo_attn.compilation.compilation import Compilation
from qubo_attn.machine.target import Target
from qubo_attn.pictures.bars import bars, histogram
from qubo_attn.pictures.markup import count, section, short, table

# Facts of every submission, and the titles of their columns.
_LOGICAL = ("index", "rows", "variables", "couplers")
_HEADS = ("submission", "rows", "bits", "couplers")
# How sure one wants to be to see an optimum.
_SURE = 0.99


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
    """Return the chance that a read of each row is its optimum, and which rows drown."""
    precision = compilation.precision(quick=True)
    known = np.isfinite(precision.feasible)
    feasible, optimum = precision.feasible[known], precision.optimum[known]
    good = int((feasible >= DROWNS).sum())
    some = "" if known.all() else f" (of {count(len(known))}; all would take long)"
    lead = (
        "A machine is warm: it returns good selections often, not always. The chance of a read "
        "follows from Boltzmann's law at the machine's temperature and the distance, in units of "
        "it, between the best selection and its neighbours. "
        f"<b>{count(good)} of {plural(len(feasible), 'row')}</b>{some} give a feasible read "
        f"at least once in {1 / DROWNS:.0f}; a read of the median row is feasible with chance "
        f"{np.median(feasible):.2f}. Fewer slots, shorter chains or another number of "
        "keys help rows that drown."
    )
    plot = histogram(optimum, "Rows by the chance that a read is the optimum", "chance")
    looked = replace(precision, optimum=optimum, seats=precision.seats[known])
    reads = looked.reads_for(_SURE).astype(np.float64)
    # The row in the middle, and the one that nine rows in ten are better than.
    rows = [
        ["median row", _chance(feasible, 50), _chance(optimum, 50), _chance(reads, 50)],
        ["nine in ten are better", _chance(feasible, 10), _chance(optimum, 10), _chance(reads, 90)],
    ]
    heads = ["row", "read feasible", "read optimal", f"reads to see the optimum by {_SURE:.0%}"]
    return section("precision", "What a warm machine returns", lead, table(heads, rows), plot)


def _chance(column: Floats, rank: int) -> str:
    """Return the number at a rank, in percent, of a column of chances or of numbers of reads."""
    number = float(np.percentile(column, rank, method="nearest"))
    return f"{number:.2g}" if number < 1 else count(number)


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
