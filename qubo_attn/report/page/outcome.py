"""Outcome of solving: whether rows kept their constraints, and how close the output came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qubo_attn.common.arrays import Bools, Floats, segment_ids
from qubo_attn.common.ragged import counts
from qubo_attn.common.words import plural
from qubo_attn.decoding.decoders import weights_of
from qubo_attn.decoding.output_error import selection_errors
from qubo_attn.decoding.result import AttentionResult
from qubo_attn.frontend.attention import Attention
from qubo_attn.pictures.bars import bars
from qubo_attn.pictures.markup import count, details, section, share, table
from qubo_attn.report.page.subject import Subject

_OWN, _PLAIN, _FAIR = "ours", "flat", "other"


@dataclass(frozen=True, eq=False)
class Comparison:
    """A way to choose and weigh keys, with its errors.

    Attributes:
        name: name on the page.
        style: colour class of its bars.
        kept: bool, a table or column of the attention: the keys it keeps.
        errors: float64, shape (H, Q): relative output errors; None without values.
    """

    name: str
    style: str
    kept: Bools
    errors: Floats | None


def compared(attention: Attention, result: AttentionResult) -> tuple[Comparison, ...]:
    """Return the result beside top-k with as many keys in each row, by two decoders."""
    errors = None if attention.values is None else result.output_errors(attention)
    ours = Comparison("ours", _OWN, result.selected, errors)
    largest = _largest(attention, result)
    if attention.values is None:
        return ours, Comparison("top-k", _PLAIN, largest, None)
    same = _decoder(attention, result)
    names = ["renormalise", "residual" if same is None else same]
    others = []
    for name in dict.fromkeys(names):
        label = {"renormalise": "top-k, renormalised", "residual": "top-k, residual"}[name]
        if name == same:
            label += " (same decoder)"
        errors = selection_errors(name, largest, attention, result.background)
        others.append(Comparison(label, _FAIR if name == same else _PLAIN, largest, errors))
    return (ours, *others)


def _largest(attention: Attention, result: AttentionResult) -> Bools:
    """Return as many keys of largest mass of each row as it keeps, a table or column."""
    rows = attention.rows
    count = counts(rows.ptr, attention.entries(result.selected))
    row = segment_ids(rows.ptr)
    order = np.lexsort((-rows.mass, row))
    kept = np.zeros(len(order), bool)
    kept[order] = np.arange(len(order)) - rows.ptr[row] < count[row]
    return np.array(attention.table(kept))


def _decoder(attention: Attention, result: AttentionResult) -> str | None:
    """Return the decoder that gives the result's weights from its keys; None where none does.

    Soft weights come from what was sampled, which top-k has not.
    """
    bare = result.background is not None
    for name in ("residual", "renormalise"):
        weights = weights_of(name, attention, result.selected, background=bare)
        if np.allclose(weights, result.weights):
            return name
    return None


def outcome_section(subject: Subject, result: AttentionResult, rivals: Sequence[Comparison]) -> str:
    """Return feasibility, and output errors of ours and of top-k.

    Args:
        subject: what the page shows.
        result: its result.
        rivals: the result beside top-k, see `compared`.
    """
    attention, repaired = subject.attention, int(result.repaired.sum())
    mended = f"; {plural(repaired, 'row')} had to be repaired" if repaired else ""
    lead = (
        f"<b>{count(result.feasible.sum())} of {plural(result.feasible.size, 'row')}</b> came back "
        f"with their constraints kept{mended}. {_beside_top_k(attention, result)}"
    )
    if rivals[0].errors is None:
        lead += (
            "There are no value vectors, so all that can be said of the output is how much softmax "
            "weight the kept keys hold; plain top-k holds the most there is."
        )
        body = _bars(rivals, [_mass(attention, rival.kept) for rival in rivals])
        return section("outcome", "After solving", lead, _counts(result), body)
    rest = "rest spread evenly over all keys"
    if result.background is not None:
        rest = "rest at the background of the row"
    lead += (
        "The output error says how far the attention output of the kept keys is from that of all "
        "keys (0%: the same), mean over rows. <b>Top&#8209;k</b> simply keeps the largest scores, "
        "as many as we keep; it costs a sort, so it is what an annealer has to beat. Kept keys "
        "weigh their softmax weight scaled up to 100% (<i>renormalised</i>), or as it is, with the "
        f"{rest} (<i>residual</i>)."
    )
    if any(stage.rewrite.restricts for stage in subject.compilation.stages):
        lead += (
            " Here rows share their selection, which spares choices and costs accuracy; top&#8209;k"
            " may choose for each row alone."
        )
    body = _bars(rivals, [mean_error(rival.errors) for rival in rivals])
    heads = _heads(attention, rivals)
    return section("outcome", "After solving", lead, body, _counts(result), heads)


def _beside_top_k(attention: Attention, result: AttentionResult) -> str:
    """Return in words how many rows keep nothing but their heaviest keys."""
    seen = attention.sees
    same, rows = result.same_as_top_k(attention)[seen], int(seen.sum())
    if not rows:
        return ""
    if not same.all():
        return (
            f"{count(same.sum())} of {plural(rows, 'row')} keep just their heaviest keys, as "
            "top&#8209;k does. "
        )
    remedy = (
        " For a selection that can do better, compile with value vectors (<code>values=</code>): "
        "the objective is then the error of the output."
        if attention.values is None
        else ""
    )
    return f"<b>Every row keeps just its heaviest keys</b>, as plain top&#8209;k does.{remedy} "


def _bars(rivals: Sequence[Comparison], sizes: Sequence[float]) -> str:
    return bars([(r.name, x, share(x), r.style) for r, x in zip(rivals, sizes, strict=True)])


def mean_error(errors: Floats | None) -> float:
    """Return the mean over rows that see a key; NaN where there is none, or no value vector."""
    return float("nan") if errors is None or np.isnan(errors).all() else float(np.nanmean(errors))


def _mass(attention: Attention, kept: Bools) -> float:
    masses = attention.sums(attention.softmax * kept)[attention.sees]
    return float(masses.mean()) if len(masses) else float("nan")


def _counts(result: AttentionResult) -> str:
    broken = share(result.chain_break_fraction)
    rows = [
        ["feasible as sampled", share(result.feasible_share)],
        ["repaired afterwards", count(result.repaired.sum())],
        ["see fewer keys than they were to keep, and keep all", count(result.capped.sum())],
        ["see no key", count(result.empty.sum())],
        ["chains broken, share of all reads (none without an embedding)", broken],
    ]
    return table(["rows", "number"], rows)


def _heads(attention: Attention, rivals: Sequence[Comparison]) -> str:
    rows = []
    sums = [attention.sums(attention.softmax * rival.kept) for rival in rivals[:2]]
    for head in range(attention.shape[0]):
        errors = [mean_error(None if r.errors is None else r.errors[head]) for r in rivals]
        masses = [mass[head] for mass in sums]
        kept = [mass.mean() if len(mass) else np.nan for mass in masses]
        rows.append([f"head {head}", *(share(float(x)) for x in (*errors, *kept))])
    heads = ["head", *(rival.name for rival in rivals), "mass kept: ours", "mass kept: top-k"]
    return details("Output error head by head", table(heads, rows))
