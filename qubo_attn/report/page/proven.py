"""How many rows are at their proven optimum, and how often a sampler's reads were."""

from __future__ import annotations

import numpy as np

from qubo_attn.common.words import plural
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.pictures.bars import histogram
from qubo_attn.pictures.markup import count, section, share, table

# Rows whose optima are searched for a page, at most: it takes a millisecond a row, or more.
_MOST = 3000
_HOW = {
    "exact": "searched here from end to end",
    "swap": "improved here by exchanges",
    "anneal": "annealed here",
    "sampler": "read from a sampler",
    "settled": "settled by passes: nothing was left to choose",
}


def proven_section(result: AttentionResult) -> str:
    """Return how rows were solved, and how far those that were sampled are from their optima."""
    asked = result.answered
    rows, proven = int(asked.sum()), int((result.proven & asked).sum())
    methods, counts = np.unique(result.methods[asked], return_counts=True)
    how = table(
        ["how rows were solved", "rows"],
        [[_HOW[name], count(n)] for name, n in zip(methods.tolist(), counts.tolist(), strict=True)],
    )
    lead = (
        "An optimum is proven where every selection that the row may keep was ruled out or tried. "
        f"<b>{count(proven)} of {plural(rows, 'row')}</b> came with such a proof."
    )
    sampled = result.behind is not None and bool({"anneal", "sampler"} & {*methods.tolist()})
    if not sampled:
        return section("proven", "Proven optima", lead, how)
    if rows > _MOST:
        lead += " So many rows are not searched for a page; <code>result.optimality()</code> does."
        return section("proven", "Proven optima", lead, how)
    found = result.optimality()
    known = found.proven & asked & np.isfinite(found.gap)
    hits = found.success[known & np.isfinite(found.success)]
    lead += (
        f" For this page the optima of {plural(int(known.sum()), 'row')} were searched here: "
        f"<b>{count((found.gap[known] == 0).sum())}</b> of them are at their optimum, "
        "once reads were repaired and had descended."
    )
    if not len(hits):
        return section("proven", "Proven optima", lead, how)
    reads = found.reads_to_solution()[known]
    lead += (
        f" As sampled, a read of the median row is its optimum in {share(float(np.median(hits)))} "
        f"of cases{_reads(float(np.median(reads)))}."
    )
    plot = histogram(hits, "Rows by the share of reads at the optimum, as sampled", "share")
    return section("proven", "Proven optima", lead, how, plot)


def _reads(number: float) -> str:
    if not np.isfinite(number):
        return ""
    return f"; of {plural(int(np.ceil(number)), 'read')} one is it with a chance of 99%"
