"""QAMA, first version, as a differentiable layer (Du et al., arXiv 2504.11083v1).

The formulas are those of `qubo_attn.frontend.qama`, run by torch. Sampled bits are constants,
so the energy is the only path that gradients take: ``dE/dJ_tij = - c_q w_ti w_tj``,
``dE/dh_ti = - c_l w_ti``, and on to queries, keys and values through J, h and eta. All shapes may
have batch axes in front.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from qubo_attn.backend.programmings import logical_submission
from qubo_attn.backend.sampler_options import check_options, check_seed
from qubo_attn.common.arrays import Floats
from qubo_attn.common.tensors import as_array, check_tensor
from qubo_attn.errors import InputError
from qubo_attn.frontend import qama
from qubo_attn.frontend.qama_program import qama_decode, qama_program
from qubo_attn.jobs.memory import sample_all

if TYPE_CHECKING:
    import dimod


class QamaAttended(NamedTuple):
    """What `qama_attention` returns.

    Attributes:
        output: shape (..., H, N, d).
        weights: the sampled soft selection w, shape (..., H, N); it carries no gradient.
        energy: E of the sampled bits, shape (...).
    """

    output: Tensor
    weights: Tensor
    energy: Tensor


def qama_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bits: int = 4,
    *,
    quadratic: float = 1.0,
    linear: float = 1.0,
    penalty: float = 2.0,
    smoothing: float = 0.0,
    sampler: dimod.Sampler | None = None,
    seed: int = 0,
    sampler_options: Mapping[str, object] | None = None,
) -> QamaAttended:
    """Select tokens by annealing QAMA's energy, and return its output.

    Args:
        query, key: shape (..., H, N, d).
        value: shape (..., H, N, d'); positive values are what the formulas are made for.
        bits, quadratic, linear, penalty, smoothing: see `qubo_attn.qama_program`.
        sampler: any dimod sampler; None for the local annealer.
        seed: seed of the sampler for the first sequence; each next one adds 1.
        sampler_options: further keywords of the sampler.

    Returns:
        Output, weights and energy.

    Raises:
        InputError: an argument has the wrong shape or is not finite; names it.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> query, key, value = torch.rand(3, 2, 4, 8, requires_grad=True)
        >>> output, weights, energy = qama_attention(query, key, value, bits=2)
        >>> output.shape, weights.shape
        (torch.Size([2, 4, 8]), torch.Size([2, 4]))
    """
    given = {"query": query, "key": key, "value": value}
    for name, tensor in given.items():
        check_tensor(name, tensor, floating=True)
    shape = tuple(query.shape)
    if query.ndim < 3 or tuple(key.shape) != shape or tuple(value.shape[:-1]) != shape[:-1]:
        raise InputError(
            f"query, key and value have shapes {shape}, {tuple(key.shape)}, {tuple(value.shape)}; "
            "expected (..., heads, tokens, width), those of query and key the same",
            argument="query",
        )
    wide = reduce(torch.promote_types, (tensor.dtype for tensor in given.values()))
    query, key, value = (tensor.to(wide) for tensor in given.values())
    sampler_options = dict(sampler_options or {})
    check_options(sampler, sampler_options)
    first = check_seed(seed) or 0
    strength = {"quadratic": quadratic, "linear": linear}
    options = {**strength, "penalty": penalty, "smoothing": smoothing}
    best = []
    arrays = [_sequences(name, tensor) for name, tensor in given.items()]
    for number, (q, k, v) in enumerate(zip(*arrays, strict=True)):
        model = logical_submission(qama_program(q, k, v, bits, **options))
        (drawn,) = sample_all([model], sampler, (first + number) % 2**31, sampler_options)
        states = model.read(drawn).samples
        best.append(qama_decode(states, q, k, v, bits, **options).bits)
    sampled_bits = torch.from_numpy(np.reshape(best, (*shape[:-1], bits))).to(query)
    weights = sampled_bits @ torch.from_numpy(qama.bit_weights(bits)).to(query)
    coupling = qama.couplings(query, key, smoothing=smoothing, xp=torch)
    terms = qama.eta(value, xp=torch)
    field = qama.token_field(terms)
    energies = qama.token_energies(coupling, field, weights, xp=torch, **strength)
    energy = energies.sum((-2, -1)) + qama.pair_energies(sampled_bits, penalty)
    return QamaAttended(qama.output(terms, field, energies, xp=torch), weights, energy)


def _sequences(name: str, tensor: Tensor) -> Floats:
    array: Floats = as_array(name, tensor)
    return array.reshape(-1, *array.shape[-3:])
