"""Annealed attention as a torch layer (needs torch: the extra ``[torch]``).

`AnnealedAttention` takes the place of ``torch.nn.MultiheadAttention``, `replace_attention` puts it
there, and `annealed_attention` is what both rest on: scores and values in, context and weights out.
`use_annealed_attention` anneals the attention of a model for a while, one of transformers too, and
`register` names annealed attention as an ``attn_implementation`` there. `qama_attention` is QAMA
itself, with its gradient.
"""

from __future__ import annotations

from qubo_attn.errors import MissingExtraError

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise MissingExtraError(
        "annealed attention as a layer needs torch: pip install torch (extra [torch])",
        extra="torch",
    ) from error

from qubo_attn.torch.annealing import Annealing
from qubo_attn.torch.drawn import Drawn
from qubo_attn.torch.functional import annealed_attention
from qubo_attn.torch.interface import register
from qubo_attn.torch.layer_report import LayerReport, ModelReport
from qubo_attn.torch.models import AnnealedModel, use_annealed_attention
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
    "AnnealedModel",
    "Annealing",
    "Drawn",
    "LayerReport",
    "ModelReport",
    "annealed_attention",
    "boltzmann_weights",
    "qama_attention",
    "register",
    "replace_attention",
    "score_energies",
    "selected_weights",
    "softmax_weights",
    "use_annealed_attention",
]
