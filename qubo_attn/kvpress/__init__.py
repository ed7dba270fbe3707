"""A press for NVIDIA's kvpress (needs it: ``pip install kvpress``).

`AnnealedPress` compresses a model's cache: any scorer of kvpress proposes keys, and a QUBO chooses
jointly among those about its threshold.
"""

from __future__ import annotations

from qubo_attn.errors import MissingExtraError

try:
    import kvpress as _kvpress  # noqa: F401
except ImportError as error:
    raise MissingExtraError(
        "a press of kvpress needs that package: pip install kvpress", extra="kvpress"
    ) from error

from qubo_attn.kvpress.press import AnnealedPress

__all__ = ["AnnealedPress"]
