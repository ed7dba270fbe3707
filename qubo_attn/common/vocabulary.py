"""Names that users type: objectives, encodings, chain strengths, decoders, formats and others.

Each list stands here once. The library checks names against it, and the command line lists and
completes them without loading anything else.
"""

from __future__ import annotations

OBJECTIVES = (
    "selection", "redundancy", "output", "renormalised", "layer", "hard", "boltzmann",
    "least_squares", "sparsemax",
)  # fmt: skip
BACKGROUNDS = ("mean", "carried", "auto")
ENCODINGS = ("arithmetic", "binary", "bounded", "domain-wall", "one-hot", "unary")
CARDINALITIES = ("dense", "network", "grid", "auto")
# What costs are counted on.
TOPOLOGIES = ("zephyr", "pegasus", "all-to-all")
CHAIN_STRENGTHS = ("auto", "torque", "bound")
CHAIN_BREAK_METHODS = ("majority", "discard", "minimise-energy")
DECODERS = ("levels", "marginals", "renormalise", "residual")
# Of model files; submissions alone are written as qp.
FORMATS = ("bqm", "json", "qp", "mtx", "npz", "qplib", "ommx")
# Constraints that a machine may take as they are.
NATIVE = ("linear", "one-hot")
# What leftover room of a machine is filled with.
REPLICAS = ("fill",)
# Methods of the local solver.
SOLVERS = ("auto", "exact", "swap", "anneal")
