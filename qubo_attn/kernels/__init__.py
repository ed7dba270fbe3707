"""Arithmetic: plain functions over arrays, compiled by Numba. Passes decide, kernels compute.

Names are loaded when first used: Numba takes longer to import than all else together, and most
compilations call a few kernels.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qubo_attn.kernels.base64 import (
        DIGIT_PAIRS,
        encode_triples,
    )
    from qubo_attn.kernels.certify import (
        certify_rows,
    )
    from qubo_attn.kernels.chains import (
        chain_bounds,
        outside_couplings,
    )
    from qubo_attn.kernels.coefficients import (
        count_pairs,
        distance_coefficients,
        leveled_coefficients,
        output_couplers,
        output_linear,
        redundancy_couplers,
        selection_couplers,
        selection_into,
    )
    from qubo_attn.kernels.columns import (
        ascending,
        entries_among,
        first_bad_rows,
    )
    from qubo_attn.kernels.components import (
        connected_components,
    )
    from qubo_attn.kernels.forms import (
        add_couplers,
        collect_couplers,
        disjoint_squares,
        first_bad_terms,
        fixed_terms,
        ising_fields,
        quadratic_energies,
        squared_fields,
        squares_on,
        terms_among,
    )
    from qubo_attn.kernels.gram import (
        gram_couplers,
        gram_linear,
        gram_matrices,
    )
    from qubo_attn.kernels.integers import (
        binary_table,
        common_steps,
        compare_tables,
        rounding_errors,
    )
    from qubo_attn.kernels.leveled import (
        certify_leveled,
    )
    from qubo_attn.kernels.lightening import (
        compress_rows,
        drop_couplers,
        dynamic_ranges,
    )
    from qubo_attn.kernels.mending import (
        mend_clique,
        regrow_clique,
    )
    from qubo_attn.kernels.order import (
        heaviest,
        lost_shares,
        ranks,
    )
    from qubo_attn.kernels.packing import (
        pack_tiles,
        whole_cliques,
    )
    from qubo_attn.kernels.physical import (
        fill_layout,
        fill_physical,
    )
    from qubo_attn.kernels.planning import (
        match_couplers,
    )
    from qubo_attn.kernels.products import (
        product_step_costs,
    )
    from qubo_attn.kernels.ranges import (
        range_shares,
        square_sums,
    )
    from qubo_attn.kernels.rows import (
        adjacency,
        dominated_keys,
        plain_counts,
        swap_costs,
    )
    from qubo_attn.kernels.shapes import (
        carve_paths,
        first_bad_copy,
    )
    from qubo_attn.kernels.steps import (
        step_costs,
    )
    from qubo_attn.kernels.unembedding import (
        block_energies,
        chain_votes,
        descend_breaks,
        spin_energies,
        unembed_majority,
    )

_HOMES = {
    "base64": (
        "DIGIT_PAIRS",
        "encode_triples",
    ),
    "certify": ("certify_rows",),
    "chains": (
        "chain_bounds",
        "outside_couplings",
    ),
    "coefficients": (
        "count_pairs",
        "distance_coefficients",
        "leveled_coefficients",
        "output_couplers",
        "output_linear",
        "redundancy_couplers",
        "selection_couplers",
        "selection_into",
    ),
    "columns": (
        "ascending",
        "entries_among",
        "first_bad_rows",
    ),
    "components": ("connected_components",),
    "forms": (
        "add_couplers",
        "collect_couplers",
        "disjoint_squares",
        "first_bad_terms",
        "fixed_terms",
        "ising_fields",
        "quadratic_energies",
        "squared_fields",
        "squares_on",
        "terms_among",
    ),
    "gram": (
        "gram_couplers",
        "gram_linear",
        "gram_matrices",
    ),
    "integers": (
        "binary_table",
        "common_steps",
        "compare_tables",
        "rounding_errors",
    ),
    "leveled": ("certify_leveled",),
    "lightening": (
        "compress_rows",
        "drop_couplers",
        "dynamic_ranges",
    ),
    "mending": (
        "mend_clique",
        "regrow_clique",
    ),
    "order": (
        "heaviest",
        "lost_shares",
        "ranks",
    ),
    "packing": (
        "pack_tiles",
        "whole_cliques",
    ),
    "physical": (
        "fill_layout",
        "fill_physical",
    ),
    "planning": ("match_couplers",),
    "products": ("product_step_costs",),
    "ranges": (
        "range_shares",
        "square_sums",
    ),
    "rows": (
        "adjacency",
        "dominated_keys",
        "plain_counts",
        "swap_costs",
    ),
    "shapes": (
        "carve_paths",
        "first_bad_copy",
    ),
    "steps": ("step_costs",),
    "unembedding": (
        "block_energies",
        "chain_votes",
        "descend_breaks",
        "spin_energies",
        "unembed_majority",
    ),
}
# What a process loads that is to call kernels soon.
MODULES = tuple(f"qubo_attn.kernels.{module}" for module in _HOMES)
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DIGIT_PAIRS",
    "add_couplers",
    "adjacency",
    "ascending",
    "binary_table",
    "block_energies",
    "carve_paths",
    "certify_leveled",
    "certify_rows",
    "chain_bounds",
    "chain_votes",
    "collect_couplers",
    "common_steps",
    "compare_tables",
    "compress_rows",
    "connected_components",
    "count_pairs",
    "descend_breaks",
    "disjoint_squares",
    "distance_coefficients",
    "dominated_keys",
    "drop_couplers",
    "dynamic_ranges",
    "encode_triples",
    "entries_among",
    "fill_layout",
    "fill_physical",
    "first_bad_copy",
    "first_bad_rows",
    "first_bad_terms",
    "fixed_terms",
    "gram_couplers",
    "gram_linear",
    "gram_matrices",
    "heaviest",
    "ising_fields",
    "leveled_coefficients",
    "lost_shares",
    "match_couplers",
    "mend_clique",
    "output_couplers",
    "output_linear",
    "outside_couplings",
    "pack_tiles",
    "plain_counts",
    "product_step_costs",
    "quadratic_energies",
    "range_shares",
    "ranks",
    "redundancy_couplers",
    "regrow_clique",
    "rounding_errors",
    "selection_couplers",
    "selection_into",
    "spin_energies",
    "square_sums",
    "squared_fields",
    "squares_on",
    "step_costs",
    "swap_costs",
    "terms_among",
    "unembed_majority",
    "whole_cliques",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'qubo_attn.kernels' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"qubo_attn.kernels.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
