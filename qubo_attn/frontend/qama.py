"""QAMA, quantum annealing multi-head attention, first version (Du et al., arXiv 2504.11083v1).

Coefficients from queries, keys and values, energies of given bits, the output, and the gradient;
`qubo_attn.qama_program` makes a program of them. ``t, u`` index heads, ``i, j`` tokens, ``b`` bits,
``d`` features; H heads, N tokens, q bits. Every shape may have batch axes in front. Arrays are
NumPy's or, where a function takes ``xp``, those of that library, NumPy or torch. Energies are
minimised::

    E = - c_q sum_t sum_ij J_tij w_ti w_tj - c_l sum_ti h_ti w_ti
        + P / C(H, 2) sum_{t<u} sum_ib x_tib x_uib,        w_ti = sum_b 2^b x_tib / (2^q - 1)

Where the text is silent, the conventions are those of the authors' released layer. Batch
normalisation has one channel per head. Mean and biased variance are over everything else: the
tokens of h, the off-diagonal pairs of J, tokens and features of the output. 1e-5 is added to the
variance. Scale and shift are 1 and 0, as at the start of training. A batch here is one sequence.

The second version of the paper changes the equations; it is not what this module computes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Floats
from qubo_attn.common.checks import whole

EPSILON = 1e-6
NORM_EPSILON = 1e-5
# Below this a batch-normalised field is rounding noise of a zero.
NO_FIELD = 1e-9


def eta(value: Floats, xp: Any = np) -> Floats:
    """Return the entropy terms of the values, ``-vn log2 vn``.

    ``vn = clamp(V / (sum_d V + 1e-6), 1e-6, 1)``: negative shares and zeros count as 1e-6.

    Args:
        value: shape (H, N, d).
        xp: library of the arrays.

    Returns:
        Shape (H, N, d).

    Example:
        >>> eta(np.array([[[1.0, 3.0]]])).round(3)
        array([[[0.5  , 0.311]]])
    """
    total = value.sum(axis=-1, keepdims=True) + EPSILON
    share = _quotient(value, total, total != 0, xp).clip(EPSILON, 1.0)
    terms: Floats = -share * xp.log2(share)
    return terms


def token_field(terms: Floats) -> Floats:
    """Return the token field ``h_ti``, the batch-normalised ``sum_d eta_tid``.

    Args:
        terms: what `eta` returned, shape (H, N, d).

    Returns:
        Shape (H, N); all zero for a single token, as for values that are all alike.
    """
    return normalise(terms.sum(axis=-1), 1)


def couplings(query: Floats, key: Floats, *, smoothing: float = 0.0, xp: Any = np) -> Floats:
    """Return the couplings ``J_tij``.

    The Jensen-Shannon divergence (base 2, between 0 and 1) of ``softmax_d(Q_ti)`` and
    ``softmax_d(K_tj)``; off the diagonal batch-normalised per head, on the diagonal as it is. Not
    symmetric in i and j.

    Args:
        query, key: shape (H, N, d).
        smoothing: added to the denominator and to the argument of each logarithm. The paper has
            none (0, the default); the released layer has 1e-6.
        xp: library of the arrays.

    Returns:
        Shape (H, N, N), i from the query and j from the key.
    """
    p, r = _softmax(query, xp)[..., :, None, :], _softmax(key, xp)[..., None, :, :]
    middle = 0.5 * (p + r)
    divergence = 0.5 * (_relative(p, middle, smoothing, xp) + _relative(r, middle, smoothing, xp))
    i, j = np.nonzero(~np.eye(query.shape[-2], dtype=bool))
    divergence[..., i, j] = normalise(divergence[..., i, j], 1)
    return divergence


def soft_selection(bits: ArrayLike) -> Floats:
    """Return the weights ``w_ti = sum_b 2^b x_tib / (2^q - 1)``.

    Args:
        bits: 0 or 1, shape (..., H, N, q).

    Returns:
        Between 0 and 1, shape (..., H, N).
    """
    x = np.asarray(bits, dtype=np.float64)
    return np.asarray(x @ bit_weights(x.shape[-1]))


def bit_weights(bits: int) -> Floats:
    """Return ``2^b / (2^q - 1)`` for each of ``bits`` bits.

    Raises:
        InputError: fewer than 1 bit, or more than 16.
    """
    whole("bits", bits, least=1, most=16)
    return np.asarray(2.0 ** np.arange(bits) / (2.0**bits - 1.0))


def token_energies(
    coupling: Floats,
    field: Floats,
    weights: Floats,
    *,
    quadratic: float = 1.0,
    linear: float = 1.0,
    xp: Any = np,
) -> Floats:
    """Return ``e_ti = - c_q w_ti sum_j J_tij w_tj - c_l h_ti w_ti``.

    Args:
        coupling: J, shape (H, N, N).
        field: h, shape (H, N).
        weights: w, shape (..., H, N), from `soft_selection`.
        quadratic, linear: c_q and c_l.
        xp: library of the arrays.

    Returns:
        Shape (..., H, N); their sum is the energy without the penalty between heads.
    """
    reached: Floats = xp.einsum("...tij,...tj->...ti", coupling, weights)
    return -quadratic * weights * reached - linear * field * weights


def pair_energies(bits: Floats, penalty: float) -> Floats:
    """Return the penalty between heads, ``P / C(H, 2) sum_{t<u} sum_ib x_tib x_uib``.

    Args:
        bits: 0.0 or 1.0, shape (..., H, N, q).
        penalty: P.

    Returns:
        Shape (...).
    """
    # sum_{t<u} x_t x_u = ((sum_t x_t)^2 - sum_t x_t) / 2 for bits
    count = bits.sum(axis=-3)
    shared: Floats = (0.5 * count * (count - 1.0)).sum(axis=(-2, -1))
    return pair_penalty(bits.shape[-3], penalty) * shared


def energy(
    coupling: Floats,
    field: Floats,
    bits: ArrayLike,
    *,
    quadratic: float = 1.0,
    linear: float = 1.0,
    penalty: float = 2.0,
) -> Floats:
    """Return E of given bits.

    Args:
        coupling: J, shape (H, N, N).
        field: h, shape (H, N).
        bits: shape (..., H, N, q).
        quadratic, linear: c_q and c_l.
        penalty: P, of two heads that set the same bit of the same token; nothing with one head.

    Returns:
        Shape (...).
    """
    x = np.asarray(bits, dtype=np.float64)
    weights = soft_selection(x)
    energies = token_energies(coupling, field, weights, quadratic=quadratic, linear=linear)
    return np.asarray(energies.sum(axis=(-2, -1)) + pair_energies(x, penalty))


def pair_penalty(heads: int, penalty: float) -> float:
    """Return ``P / C(H, 2)``, and 0 for one head: there is no pair to penalise."""
    return penalty / (heads * (heads - 1) / 2) if heads > 1 else 0.0


def energy_gradient(
    weights: Floats, *, quadratic: float = 1.0, linear: float = 1.0
) -> tuple[Floats, Floats]:
    """Return the gradient of E with the bits held.

    Args:
        weights: w, shape (..., H, N).
        quadratic, linear: c_q and c_l.

    Returns:
        ``dE/dJ_tij = - c_q w_ti w_tj``, shape (..., H, N, N), and ``dE/dh_ti = - c_l w_ti``, shape
        (..., H, N).
    """
    return -quadratic * weights[..., :, None] * weights[..., None, :], -linear * weights


def output(terms: Floats, field: Floats, energies: Floats, xp: Any = np) -> Floats:
    """Return QAMA's output, the batch-normalised ``- e_ti eta_tid / h_ti``.

    A token without a field (``h_ti`` zero up to rounding: one token, or values all alike) has no
    quotient; it counts as 0 before the normalisation.

    Args:
        terms: eta, shape (H, N, d).
        field: h, shape (H, N).
        energies: e of one state, shape (H, N).
        xp: library of the arrays.

    Returns:
        Shape (H, N, d).
    """
    ratio = _quotient(-energies, field, abs(field) > NO_FIELD, xp)
    return normalise(ratio[..., None] * terms, 2)


def normalise(x: Floats, axes: int) -> Floats:
    """Return each head of ``x`` with its mean taken off, over ``sqrt(variance + 1e-5)``.

    Args:
        x: any shape.
        axes: the last so many axes are those of one head; mean and biased variance run over them.
    """
    if 0 in x.shape:
        return x
    rest = tuple(range(-axes, 0))
    centred = x - x.mean(axis=rest, keepdims=True)
    variance = (centred * centred).mean(axis=rest, keepdims=True)
    normal: Floats = centred / (variance + NORM_EPSILON) ** 0.5
    return normal


def _quotient(x: Floats, y: Floats, where: Any, xp: Any) -> Floats:
    """Return ``x / y``, and 0 elsewhere; no gradient meets the places that are left out."""
    ratio: Floats = xp.where(where, x / xp.where(where, y, 1.0), 0.0)
    return ratio


def _softmax(x: Floats, xp: Any) -> Floats:
    weights = xp.exp(x - xp.amax(x, axis=-1, keepdims=True))
    normal: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return normal


def _relative(p: Floats, middle: Floats, smoothing: float, xp: Any) -> Floats:
    """Return the relative entropy (base 2) of ``p`` to ``middle``; an empty share adds nothing."""
    ratio = p / xp.where(middle > 0, middle + smoothing, 1.0) + smoothing
    entropy: Floats = (p * xp.log2(xp.where(ratio > 0, ratio, 1.0))).sum(axis=-1)
    return entropy
