"""The rewrite stages, one file each; shipped as ``qubo_attn.passes``."""

if __name__ != "qubo_attn.passes":
    raise ImportError("import qubo_attn.passes; this folder is not a package of its own")

from qubo_attn.passes.binarize_weights import BinarizeWeights
from qubo_attn.passes.canonicalize import Canonicalize
from qubo_attn.passes.compress import Compress
from qubo_attn.passes.drop_couplers import DropCouplers
from qubo_attn.passes.embed import Embed
from qubo_attn.passes.insert_penalties import InsertPenalties
from qubo_attn.passes.keep_one_hot import KeepOneHot
from qubo_attn.passes.quantize import Quantize
from qubo_attn.passes.sparsify import Sparsify
from qubo_attn.passes.split_rows import SplitRows
from qubo_attn.passes.tie_variables import TieVariables

__all__ = [
    "BinarizeWeights",
    "Canonicalize",
    "Compress",
    "DropCouplers",
    "Embed",
    "InsertPenalties",
    "KeepOneHot",
    "Quantize",
    "Sparsify",
    "SplitRows",
    "TieVariables",
]
