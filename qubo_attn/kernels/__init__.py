"""Arithmetic: plain functions over arrays, compiled by Numba. Passes decide, kernels compute."""

from qubo_attn.kernels.certify import certify_rows
from qubo_attn.kernels.coefficients import (
    distance_coefficients,
    output_coefficients,
    redundancy_coefficients,
    selection_coefficients,
)
from qubo_attn.kernels.forms import (
    disjoint_squares,
    ising_fields,
    quadratic_energies,
)
from qubo_attn.kernels.integers import (
    binary_table,
    common_steps,
    compare_tables,
    rounding_errors,
)
from qubo_attn.kernels.mending import mend_clique
from qubo_attn.kernels.packing import pack_tiles, whole_cliques
from qubo_attn.kernels.physical import (
    block_energies,
    chain_votes,
    fill_physical,
)
from qubo_attn.kernels.planning import match_couplers
from qubo_attn.kernels.rows import adjacency, dominated_keys, step_costs, swap_costs

__all__ = [
    "adjacency",
    "binary_table",
    "block_energies",
    "certify_rows",
    "chain_votes",
    "common_steps",
    "compare_tables",
    "disjoint_squares",
    "distance_coefficients",
    "dominated_keys",
    "fill_physical",
    "ising_fields",
    "match_couplers",
    "mend_clique",
    "output_coefficients",
    "pack_tiles",
    "quadratic_energies",
    "redundancy_coefficients",
    "rounding_errors",
    "selection_coefficients",
    "step_costs",
    "swap_costs",
    "whole_cliques",
]
