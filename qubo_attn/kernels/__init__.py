"""Arithmetic: plain functions over arrays, compiled by Numba. Passes decide, kernels compute."""

from qubo_attn.kernels.base64 import DIGIT_PAIRS, encode_triples
from qubo_attn.kernels.certify import certify_rows
from qubo_attn.kernels.chains import chain_bounds
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
from qubo_attn.kernels.components import connected_components
from qubo_attn.kernels.forms import (
    disjoint_squares,
    first_bad_terms,
    fixed_terms,
    ising_fields,
    quadratic_energies,
    squares_on,
    terms_among,
)
from qubo_attn.kernels.integers import (
    binary_table,
    common_steps,
    compare_tables,
    rounding_errors,
)
from qubo_attn.kernels.leveled import certify_leveled
from qubo_attn.kernels.lightening import compress_rows, drop_couplers, dynamic_ranges
from qubo_attn.kernels.mending import mend_clique, regrow_clique
from qubo_attn.kernels.packing import pack_tiles, whole_cliques
from qubo_attn.kernels.physical import fill_layout, fill_physical
from qubo_attn.kernels.planning import match_couplers
from qubo_attn.kernels.products import product_step_costs
from qubo_attn.kernels.ranges import range_shares
from qubo_attn.kernels.rows import (
    adjacency,
    dominated_keys,
    plain_counts,
    ranks,
    step_costs,
    swap_costs,
)
from qubo_attn.kernels.shapes import carve_paths, first_bad_copy
from qubo_attn.kernels.unembedding import (
    block_energies,
    chain_votes,
    descend_breaks,
    spin_energies,
    unembed_majority,
)

__all__ = [
    "DIGIT_PAIRS",
    "adjacency",
    "binary_table",
    "block_energies",
    "carve_paths",
    "certify_leveled",
    "certify_rows",
    "chain_bounds",
    "chain_votes",
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
    "fill_layout",
    "fill_physical",
    "first_bad_copy",
    "first_bad_terms",
    "fixed_terms",
    "ising_fields",
    "leveled_coefficients",
    "match_couplers",
    "mend_clique",
    "output_couplers",
    "output_linear",
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
    "squares_on",
    "step_costs",
    "swap_costs",
    "terms_among",
    "unembed_majority",
    "whole_cliques",
]
