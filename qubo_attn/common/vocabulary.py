"""Names that users type: of objectives, encodings, chain strengths, decoders and formats.

Each list stands here once. The library takes its tables from these, and so does the command line,
which can thus list and complete them without loading anything else.
"""

from __future__ import annotations

OBJECTIVES = (
    "selection", "redundancy", "output", "hard", "boltzmann", "least_squares", "sparsemax",
)  # fmt: skip
ENCODINGS = ("arithmetic", "binary", "bounded", "domain-wall", "one-hot", "unary")
CARDINALITIES = ("dense", "network", "grid", "auto")
CHAIN_STRENGTHS = ("auto", "torque", "bound")
CHAIN_BREAK_METHODS = ("majority", "discard", "minimise-energy")
DECODERS = ("levels", "marginals", "renormalise", "residual")
# Of model files; submissions alone are written as the last.
FORMATS = ("bqm", "json", "qp")
