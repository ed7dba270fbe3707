"""QAMA, first version, as a differentiable layer (Du et al., arXiv 2504.11083v1).

The formulas are those of `qubo_attn.frontend.qama`, here in torch. Bits are sampled and then held,
so the
energy is the only path that gradients take: ``dE/dJ_tij = - c_q w_ti w_tj``, ``dE/dh_ti = - c_l
w_ti``, and on to queries, keys and values through J, h and eta. All shapes may have batch axes in
front.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from qubo_attn.backend import sample as annealer
from qubo_attn.backend.submission import Submission
from qubo_attn.common.arrays import Floats
from qubo_attn.errors import InputError
from qubo_attn.frontend.qama import EPSILON, NO_FIELD, NORM_EPSILON, bit_weights, pair_penalty
from qubo_attn.frontend.qama_program import qama_decode, qama_program
from qubo_attn.ir.program import Program

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
        seed: of the sampler, plus the number of the sequence.
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
    shape = tuple(query.shape)
    if query.ndim < 3 or tuple(key.shape) != shape or tuple(value.shape[:-1]) != shape[:-1]:
        raise InputError(
            f"query, key and value have shapes {shape}, {tuple(key.shape)}, {tuple(value.shape)}; "
            "expected (..., heads, tokens, width), those of query and key the same",
            argument="query",
        )
    arrays = [_sequences(tensor) for tensor in (query, key, value)]
    strength = {
        "quadratic": quadratic,
        "linear": linear,
        "penalty": penalty,
        "smoothing": smoothing,
    }
    options = dict(sampler_options or {})
    found = []
    for number, (q, k, v) in enumerate(zip(*arrays, strict=True)):
        part = _whole(qama_program(q, k, v, bits, **strength))
        states = part.read(annealer.sample(part, sampler, seed + number, options)).samples
        found.append(qama_decode(states, q, k, v, bits, **strength).bits)
    held = torch.from_numpy(np.reshape(found, (*shape[:-1], bits))).to(query)
    w = held @ torch.from_numpy(bit_weights(bits)).to(query)
    coupling, terms = couplings(query, key, smoothing=smoothing), eta(value)
    field = token_field(terms)
    reached = (coupling @ w.unsqueeze(-1)).squeeze(-1)
    energies = -quadratic * w * reached - linear * field * w
    count = held.sum(-3)
    shared = (0.5 * count * (count - 1.0)).sum((-2, -1))
    energy = energies.sum((-2, -1)) + pair_penalty(shape[-3], penalty) * shared
    live = field.abs() > NO_FIELD
    ratio = torch.where(live, -energies / torch.where(live, field, 1.0), 0.0)
    return QamaAttended(_normalise(ratio.unsqueeze(-1) * terms, 2), w, energy)


def eta(value: Tensor) -> Tensor:
    """Return the entropy terms of the values, shape (..., H, N, d).

    See `qubo_attn.frontend.qama.eta`.
    """
    total = value.sum(-1, keepdim=True) + EPSILON
    share = torch.where(total != 0, value / torch.where(total != 0, total, 1.0), 0.0)
    share = share.clamp(EPSILON, 1.0)
    return -share * share.log2()


def token_field(terms: Tensor) -> Tensor:
    """Return h, shape (..., H, N), of what `eta` returned.

    See `qubo_attn.frontend.qama.token_field`.
    """
    return _normalise(terms.sum(-1), 1)


def couplings(query: Tensor, key: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return J, shape (..., H, N, N); see `qubo_attn.frontend.qama.couplings`."""
    p, r = query.softmax(-1).unsqueeze(-2), key.softmax(-1).unsqueeze(-3)
    middle = 0.5 * (p + r)
    divergence = 0.5 * (_relative(p, middle, smoothing) + _relative(r, middle, smoothing))
    off = ~torch.eye(query.shape[-2], dtype=torch.bool, device=query.device)
    coupling = divergence.clone()
    coupling[..., off] = _normalise(divergence[..., off], 1)
    return coupling


def _normalise(x: Tensor, axes: int) -> Tensor:
    """Return each head of ``x`` with mean 0 and variance 1 over its last ``axes`` axes."""
    if not x.numel():
        return x
    rest = tuple(range(-axes, 0))
    centred = x - x.mean(rest, keepdim=True)
    return centred / (centred.square().mean(rest, keepdim=True) + NORM_EPSILON).sqrt()


def _relative(p: Tensor, middle: Tensor, smoothing: float) -> Tensor:
    """Return the relative entropy (base 2) of ``p`` to ``middle``; an empty share adds nothing."""
    ratio = p / torch.where(middle > 0, middle + smoothing, 1.0) + smoothing
    return (p * torch.where(ratio > 0, ratio, 1.0).log2()).sum(-1)


def _sequences(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().double().cpu().numpy()
    return array.reshape(-1, *array.shape[-3:])


def _whole(program: Program) -> Submission:
    """Return a program without constraints as one logical submission."""
    form, order = program.total(), np.arange(len(program))
    return Submission(
        0,
        order,
        (),
        form.linear,
        form.i,
        form.j,
        form.bias,
        form.offset,
        "BINARY",
        np.ones(len(program)),
    )
