"""QAMA, quantum annealing multi-head attention, first version (Du et al., arXiv 2504.11083v1).

Coefficients from queries, keys and values, energies of given bits, the output, and the gradient;
`qubo_attn.qama_program` makes a program of them. ``t, u`` index heads, ``i, j`` tokens, ``b`` bits,
``d`` features; H heads, N tokens, q bits. Energies are minimised::

    E = - c_q sum_t sum_ij J_tij w_ti w_tj - c_l sum_ti h_ti w_ti
        + P / C(H, 2) sum_{t<u} sum_ib x_tib x_uib,        w_ti = sum_b 2^b x_tib / (2^q - 1)

Where the text is silent, the conventions are those of the authors' released layer: batch
normalisation has one channel per head, takes mean and biased variance over everything else (the
tokens of h, the off-diagonal pairs of J, tokens and features of the output), adds 1e-5 to the
variance, and has the scale 1 and shift 0 it starts with. A batch here is one sequence.

The second version of the paper changes the equations; it is not what this module computes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Floats
from qubo_attn.errors import InputError

EPSILON = 1e-6
NORM_EPSILON = 1e-5
# Below this a batch-normalised field is rounding noise of a zero.
NO_FIELD = 1e-9


def eta(value: ArrayLike) -> Floats:
    """Return the entropy terms of the values, ``-vn log2 vn``.

    ``vn = clamp(V / (sum_d V + 1e-6), 1e-6, 1)``: negative shares and zeros count as 1e-6.

    Args:
        value: shape (H, N, d).

    Returns:
        Shape (H, N, d).

    Raises:
        InputError: the array has another shape or is not finite.

    Example:
        >>> eta([[[1.0, 3.0]]]).round(3)
        array([[[0.5  , 0.311]]])
    """
    v = heads_of("value", value)
    total = v.sum(axis=-1, keepdims=True) + EPSILON
    share = np.divide(v, total, out=np.zeros_like(v), where=total != 0)
    share = np.clip(share, EPSILON, 1.0)
    return np.asarray(-share * np.log2(share))


def token_field(terms: ArrayLike) -> Floats:
    """Return the token field ``h_ti``, the batch-normalised ``sum_d eta_tid``.

    Args:
        terms: what `eta` returned, shape (H, N, d).

    Returns:
        Shape (H, N); all zero for a single token, as for values that are all alike.
    """
    return normalise(heads_of("eta", terms).sum(axis=-1))


def couplings(query: ArrayLike, key: ArrayLike, *, smoothing: float = 0.0) -> Floats:
    """Return the couplings ``J_tij``.

    The Jensen-Shannon divergence (base 2, between 0 and 1) of ``softmax_d(Q_ti)`` and
    ``softmax_d(K_tj)``; off the diagonal batch-normalised per head, on the diagonal as it is. Not
    symmetric in i and j.

    Args:
        query, key: shape (H, N, d).
        smoothing: added to the denominator and to the argument of each logarithm. The paper has
            none (0, the default); the released layer has 1e-6.

    Returns:
        Shape (H, N, N), i from the query and j from the key.

    Raises:
        InputError: an array has another shape, or is not finite, or the two differ in shape.
    """
    q, k = heads_of("query", query), heads_of("key", key)
    if q.shape != k.shape:
        raise InputError(
            f"query has shape {q.shape}, key {k.shape}; expected the same", argument="key"
        )
    p, r = _softmax(q)[:, :, None, :], _softmax(k)[:, None, :, :]
    middle = 0.5 * (p + r)
    divergence = 0.5 * (_relative(p, middle, smoothing) + _relative(r, middle, smoothing))
    off = ~np.eye(q.shape[1], dtype=bool)
    divergence[:, off] = normalise(divergence[:, off])
    return np.asarray(divergence)


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
    if isinstance(bits, bool) or not isinstance(bits, int | np.integer) or not 1 <= bits <= 16:
        raise InputError(f"bits must be a whole number from 1 to 16, not {bits!r}", bits=bits)
    return np.asarray(2.0 ** np.arange(bits) / (2.0**bits - 1.0))


def token_energies(
    coupling: Floats, field: Floats, bits: ArrayLike, *, quadratic: float = 1.0, linear: float = 1.0
) -> Floats:
    """Return ``e_ti = - c_q w_ti sum_j J_tij w_tj - c_l h_ti w_ti``.

    Args:
        coupling: J, shape (H, N, N).
        field: h, shape (H, N).
        bits: shape (..., H, N, q).
        quadratic, linear: c_q and c_l.

    Returns:
        Shape (..., H, N); their sum is the energy without the penalty between heads.
    """
    w = soft_selection(bits)
    reached = np.einsum("tij,...tj->...ti", coupling, w)
    return np.asarray(-quadratic * w * reached - linear * field * w)


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
    own = token_energies(coupling, field, x, quadratic=quadratic, linear=linear)
    # sum_{t<u} x_t x_u = ((sum_t x_t)^2 - sum_t x_t) / 2 for bits
    count = x.sum(axis=-3)
    shared = (0.5 * count * (count - 1.0)).sum(axis=(-2, -1))
    return np.asarray(own.sum(axis=(-2, -1)) + pair_penalty(x.shape[-3], penalty) * shared)


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


def output(terms: Floats, field: Floats, energies: Floats) -> Floats:
    """Return QAMA's output, the batch-normalised ``- e_ti eta_tid / h_ti``.

    A token without a field (``h_ti`` zero up to rounding: one token, or values all alike) has no
    quotient; it counts as 0 before the normalisation.

    Args:
        terms: eta, shape (H, N, d).
        field: h, shape (H, N).
        energies: e of one state, shape (H, N).

    Returns:
        Shape (H, N, d).
    """
    live = np.abs(field) > NO_FIELD
    ratio = np.divide(-energies, field, out=np.zeros_like(field), where=live)
    return normalise(ratio[..., None] * terms)


def normalise(x: Floats) -> Floats:
    """Return each head of ``x`` with its mean taken off, over ``sqrt(variance + 1e-5)``.

    Args:
        x: shape (H, ...); mean and biased variance run over all but the first axis.
    """
    if not x.size:
        return x
    rest = tuple(range(1, x.ndim))
    centred = x - x.mean(axis=rest, keepdims=True)
    variance = (centred * centred).mean(axis=rest, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + NORM_EPSILON))


def heads_of(name: str, array: ArrayLike) -> Floats:
    """Return an array of shape (heads, tokens, features) as float64, checked.

    Raises:
        InputError: names the argument, and the head, token and feature where it fails.
    """
    try:
        x = np.array(array, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{name} is not a rectangular array of numbers ({error})", argument=name
        ) from error
    if x.ndim != 3 or not x.size:
        raise InputError(
            f"{name} has shape {x.shape}; expected (heads, tokens, features), each at least 1",
            argument=name,
            shape=x.shape,
        )
    if not np.isfinite(x).all():
        head, token, feature = (int(index) for index in np.argwhere(~np.isfinite(x))[0])
        raise InputError(
            f"{name}[{head},{token},{feature}] is {x[head, token, feature]} (head {head}, "
            f"token {token})",
            argument=name,
            head=head,
            token=token,
        )
    return x


def _softmax(x: Floats) -> Floats:
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def _relative(p: Floats, middle: Floats, smoothing: float) -> Floats:
    """Return the relative entropy (base 2) of ``p`` to ``middle``; an empty share adds nothing."""
    ratio = p / np.where(middle > 0, middle + smoothing, 1.0) + smoothing
    return np.asarray((p * np.log2(np.where(ratio > 0, ratio, 1.0))).sum(axis=-1))
