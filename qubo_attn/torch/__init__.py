"""Annealed attention as a torch layer (needs torch: ``pip install qubo-attn[torch]``).

`AnnealedAttention` takes the place of ``torch.nn.MultiheadAttention``, `replace_attention` puts it
there, and `annealed_attention` is what both rest on: scores and values in, context and weights out.
`qama_attention` is QAMA itself, with its gradient.
"""

from __future__ import annotations

from qubo_attn.errors import MissingExtraError

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise MissingExtraError(
        "annealed attention as a layer needs torch: pip install qubo-attn[torch]", extra="torch"
    ) from error

from qubo_attn.torch.annealing import Annealing, Drawn
from qubo_attn.torch.functional import annealed_attention
from qubo_attn.torch.module import AnnealedAttention, replace_attention
from qubo_attn.torch.qama import qama_attention
from qubo_attn.torch.weights import (
    boltzmann_weights,
    score_energies,
    selected_weights,
    softmax_weights,
)

__all__ = [
    "AnnealedAttention",
    "Annealing",
    "Drawn",
    "annealed_attention",
    "boltzmann_weights",
    "qama_attention",
    "replace_attention",
    "score_energies",
    "selected_weights",
    "softmax_weights",
]
