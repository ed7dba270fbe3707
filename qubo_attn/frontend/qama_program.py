"""QAMA as a program, and the way back from its bits (Du et al., arXiv 2504.11083v1).

One bit ``x_tib`` per head, token and bit of the soft selection: H N q of them, whatever the number
of queries, as a token is selected once for all of them. Nothing is constrained, so the program can
be embedded, quantized or sampled as it is. See `qubo_attn.frontend.qama` for the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn import kernels
from qubo_attn.common.arrays import Floats, first_place
from qubo_attn.common.brief import Brief
from qubo_attn.common.checks import number, numbers
from qubo_attn.errors import DecodeError, InputError
from qubo_attn.frontend import qama
from qubo_attn.ir.columns import Constraints, Role, Variables
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic

# So that sums of features, and squares of energies, are numbers.
_LARGEST, _LARGEST_FACTOR = 1e300, 1e100


@dataclass(frozen=True, eq=False)
class QamaResult(Brief):
    """Sampled bits, decoded.

    Attributes:
        bits: the best sample, float64, shape (H, N, q).
        energy: its energy E.
        weights: soft selection w, shape (H, N).
        output: the layer's output, shape (H, N, d).
        gradient: dE/dJ, shape (H, N, N), and dE/dh, shape (H, N), with the bits held.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> q, k, v = np.random.default_rng(0).normal(size=(3, 2, 3, 4))
        >>> result = qa.qama_decode(np.ones((1, 12)), q, k, np.abs(v), bits=2)
        >>> result.weights
        array([[1., 1., 1.],
               [1., 1., 1.]])
        >>> by_coupling, by_field = result.gradient
        >>> by_coupling.shape, by_field.shape
        ((2, 3, 3), (2, 3))
    """

    bits: Floats
    energy: float
    weights: Floats
    output: Floats
    gradient: tuple[Floats, Floats]


def qama_program(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    bits: int = 4,
    *,
    quadratic: float = 1.0,
    linear: float = 1.0,
    penalty: float = 2.0,
    smoothing: float = 0.0,
) -> Program:
    """Return the program whose energies are QAMA's, state by state.

    Args:
        query, key: shape (H, N, d).
        value: shape (H, N, d'); d' may differ from d.
        bits: q, bits of a token's soft selection; weights are multiples of 1 / (2^q - 1).
        quadratic, linear: c_q and c_l.
        penalty: P, of two heads that set the same bit of the same token.
        smoothing: see `qubo_attn.frontend.qama.couplings`.

    Returns:
        H N q bits in the order head, token, bit; no constraints.

    Raises:
        InputError: an argument has the wrong shape or is not finite; names it.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> rng = np.random.default_rng(0)
        >>> q, k, v = rng.normal(size=(3, 2, 3, 4))
        >>> program = qa.qama_program(q, k, np.abs(v), bits=2)
        >>> len(program), program.label(11)
        (12, 'w[1,*,2,1]')
    """
    quadratic, linear, penalty = _factors(quadratic=quadratic, linear=linear, penalty=penalty)
    coupling, field, _ = _coefficients(query, key, value, smoothing)
    heads, tokens = field.shape
    step = qama.bit_weights(bits)
    # Per head over its N q bits: x^T S x = - c_q sum_ij J_ij w_i w_j.
    square = -quadratic * np.kron(coupling, np.outer(step, step))
    size = tokens * bits
    u, v = np.triu_indices(size, 1)
    within = square[:, u, v] + square[:, v, u]
    diagonal = np.diagonal(square, axis1=1, axis2=2) - linear * np.kron(field, step)
    first = size * np.arange(heads)[:, None]
    a, b = np.triu_indices(heads, 1)
    cell = np.arange(size)
    across = (size * a[:, None] + cell).ravel(), (size * b[:, None] + cell).ravel()
    price = np.full(len(across[0]), qama.pair_penalty(heads, penalty))
    i, j, bias = kernels.collect_couplers(
        heads * size,
        np.concatenate([(first + u).ravel(), across[0]]),
        np.concatenate([(first + v).ravel(), across[1]]),
        np.concatenate([within.ravel(), price]),
    )
    objective = Quadratic(0.0, diagonal.ravel(), i, j, bias)
    return Program(_variables(heads, tokens, bits), objective, Constraints.none())


def qama_decode(
    samples: ArrayLike,
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    bits: int = 4,
    *,
    quadratic: float = 1.0,
    linear: float = 1.0,
    penalty: float = 2.0,
    smoothing: float = 0.0,
) -> QamaResult:
    """Return weights, output and gradient of the best of some samples.

    Args:
        samples: 0 or 1, shape (m, H N q), in the order of the program's variables.
        query, key, value, bits, quadratic, linear, penalty, smoothing: as `qama_program` had them.

    Raises:
        DecodeError: the samples are not bits of that program.
        InputError: an argument has the wrong shape or is not finite; names it.

    Example:
        >>> import numpy as np, qubo_attn as qa
        >>> rng = np.random.default_rng(0)
        >>> q, k, v = rng.normal(size=(3, 2, 3, 4))
        >>> samples = rng.integers(0, 2, size=(100, 12))  # from any sampler
        >>> result = qa.qama_decode(samples, q, k, np.abs(v), bits=2)
        >>> result.weights.shape, result.output.shape
        ((2, 3), (2, 3, 4))
    """
    quadratic, linear, penalty = _factors(quadratic=quadratic, linear=linear, penalty=penalty)
    coupling, field, terms = _coefficients(query, key, value, smoothing)
    heads, tokens = field.shape
    points = numbers("samples", samples)
    count = heads * tokens * len(qama.bit_weights(bits))
    if points.ndim != 2 or points.shape[1] != count or not len(points):
        raise DecodeError(
            f"samples have shape {points.shape}; expected (samples, {count}): {heads} heads x "
            f"{tokens} tokens x {bits} bits",
            shape=points.shape,
        )
    if not np.isin(points, (0.0, 1.0)).all():
        raise DecodeError("samples hold values other than 0 and 1; convert spins to bits first")
    states = points.reshape(-1, heads, tokens, bits)
    strength = {"quadratic": quadratic, "linear": linear}
    energies = qama.energy(coupling, field, states, penalty=penalty, **strength)
    best = states[int(energies.argmin())]
    weights = qama.soft_selection(best)
    by_token = qama.token_energies(coupling, field, weights, **strength)
    return QamaResult(
        best,
        float(energies.min()),
        weights,
        qama.output(terms, field, by_token),
        qama.energy_gradient(weights, **strength),
    )


def _coefficients(
    query: ArrayLike, key: ArrayLike, value: ArrayLike, smoothing: float
) -> tuple[Floats, Floats, Floats]:
    """Return J, h and eta of inputs that belong together."""
    smoothing = number("smoothing", smoothing, least=0)
    q, k, v = _vectors("query", query), _vectors("key", key), _vectors("value", value)
    if q.shape != k.shape:
        raise InputError(
            f"query has shape {q.shape}, key {k.shape}; expected the same", argument="key"
        )
    if v.shape[:2] != q.shape[:2]:
        raise InputError(
            f"value has shape {v.shape}; expected ({q.shape[0]}, {q.shape[1]}, d): one vector for "
            "each head and token of query and key",
            argument="value",
            shape=v.shape,
        )
    terms = qama.eta(v)
    return qama.couplings(q, k, smoothing=smoothing), qama.token_field(terms), terms


def _factors(**factors: object) -> list[float]:
    """Return factors of energies, checked."""
    checked = [number(name, factor) for name, factor in factors.items()]
    for name, factor in zip(factors, checked, strict=True):
        if abs(factor) > _LARGEST_FACTOR:
            raise InputError(
                f"{name} of {factor:g} makes energies whose squares overflow; at most "
                f"{_LARGEST_FACTOR:g} serves",
                argument=name,
            )
    return checked


def _vectors(name: str, array: ArrayLike) -> Floats:
    """Return an array of shape (heads, tokens, features), checked."""
    x = numbers(name, array)
    if x.ndim != 3 or not x.size:
        raise InputError(
            f"{name} has shape {x.shape}; expected (heads, tokens, features), each at least 1",
            argument=name,
            shape=x.shape,
        )
    bad = ~(np.abs(x) <= _LARGEST)
    if bad.any():
        head, token, feature = first_place(bad)
        raise InputError(
            f"{name}[{head},{token},{feature}] is {x[head, token, feature]} (head {head}, "
            f"token {token}); it must be a number of at most {_LARGEST:g}",
            argument=name,
            head=head,
            token=token,
        )
    return x


def _variables(heads: int, tokens: int, bits: int) -> Variables:
    head, token, bit = (a.ravel() for a in np.indices((heads, tokens, bits)))
    n = len(head)
    return Variables(
        head=head,
        query=np.full(n, -1),
        key=token,
        bit=bit,
        upper=np.ones(n, np.int32),
        role=np.full(n, Role.WEIGHT),
        mass=np.full(n, np.nan),
    )
