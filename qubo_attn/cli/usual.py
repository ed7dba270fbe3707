"""Kernels that the usual runs of commands compile where none are kept, to tell how many are left.

A module's kernels stand in one text; one that is compiled for two signatures stands there twice.
Other options than the usual ones may need fewer or more.
"""

from __future__ import annotations

from collections import Counter

# Nothing but what is compiled counts here, so the folders of kept code are asked as they are named.
from qubo_attn.kernels import _jit

USUAL: dict[str, dict[str, str]] = {
    "compile": {
        "blocks": "failure move",
        "certify": "certify_rows smallest_weight",
        "chains": "_is_connected chain_bounds outside_couplings",
        "chances": "_broken _of_all block_chances",
        "check": "whole_copies",
        "coefficients": "_centre add_products count_pairs dot dot output_linear",
        "columns": "ascending entries_among rows_are_good",
        "components": "connected_components",
        "forms": "ising_fields squared_fields squares_on terms_are_good",
        "gram": "gram_couplers gram_matrices",
        "order": "_next_level heaviest kth_smallest longest_row lost_shares",
        "physical": "fill_physical",
        "planning": "match_couplers",
        "ranges": "range_shares",
        "relaxation": (
            "_lightest _multiplier convex_shift good_selection plain_shift relax "
            "sort_in_place sorted_bounds to_unit"
        ),
        "rows": "_outside_gain adjacency load_row plain_counts swap_costs",
        "steps": "_sink step_costs_of_few",
        "warm": "_row_scale warm_weights",
    },
    "solve": {
        "blocks": "failure move",
        "chains": "_is_connected chain_bounds outside_couplings",
        "chances": "_broken _of_all block_chances",
        "check": "whole_copies",
        "columns": "ascending rows_are_good",
        "components": "connected_components",
        "forms": "ising_fields squared_fields squares_on terms_are_good",
        "physical": "fill_physical",
        "planning": "match_couplers",
        "ranges": "range_shares",
        "rows": "adjacency",
        "searching": "_count _is_before _keep _load order_items reach search_rows",
    },
}
# What a rebind and later batches compile beside these, which `qubo-attn warm` does as well.
_LATER = {
    "coefficients": (
        "count_pairs output_couplers selection_couplers selection_couplers selection_into "
        "selection_into"
    ),
    "forms": "fixed_terms terms_among",
    "physical": "place_values",
}


def _joined(later: dict[str, str]) -> dict[str, str]:
    """Return what compiling and solving take together, and what follows."""
    first, then = USUAL["compile"], USUAL["solve"]
    joined = {}
    for module in first | then:
        parts = (Counter(part.get(module, "").split()) for part in (first, then))
        wanted = next(parts) | next(parts)
        joined[module] = " ".join((wanted + Counter(later.get(module, "").split())).elements())
    return joined


USUAL["try"] = _joined({})
USUAL["warm"] = _joined(_LATER)


def left_to_compile(command: str) -> int:
    """Return how many kernels the usual run of a command compiles that are not kept yet.

    It is 0 for commands that have no usual run.

    Example:
        >>> left_to_compile("passes")
        0
    """
    left = 0
    for module, names in USUAL.get(command, {}).items():
        kept = [
            path.stem for path in (_jit._root() / "kernels" / _jit._folder_of(module)).glob("*")
        ]
        kept = [name.rpartition("-")[0] for name in kept]
        wanted = names.split()
        left += sum(max(wanted.count(name) - kept.count(name), 0) for name in set(wanted))
    return left
