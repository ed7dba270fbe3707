"""QAMA v1 against a reference in loops, state by state."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import exp, log2, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qubo_attn as qa
from qubo_attn.frontend import qama
from qubo_attn.ir.columns import Role

Array = np.ndarray


def inputs(
    seed: int, heads: int = 2, tokens: int = 3, width: int = 4
) -> tuple[Array, Array, Array]:
    generator = np.random.default_rng(seed)
    query, key, value = generator.normal(size=(3, heads, tokens, width))
    return query, key, value + 0.5


class Naive:
    """Every formula written out over lists; nothing shared with the package."""

    def __init__(self, query: Array, key: Array, value: Array) -> None:
        self.heads, self.tokens, _ = query.shape
        self.width = value.shape[2]
        self.eta = [[self._eta(row) for row in head] for head in value.tolist()]
        self.h = [self._norm([sum(row) for row in head]) for head in self.eta]
        self.j = [self._couplings(*head) for head in zip(query.tolist(), key.tolist(), strict=True)]

    @staticmethod
    def _eta(row: list[float]) -> list[float]:
        shares = [min(max(v / (sum(row) + 1e-6), 1e-6), 1.0) for v in row]
        return [-s * log2(s) for s in shares]

    @staticmethod
    def _norm(numbers: list[float]) -> list[float]:
        mean = sum(numbers) / len(numbers) if numbers else 0.0
        variance = sum((x - mean) ** 2 for x in numbers) / max(len(numbers), 1)
        return [(x - mean) / sqrt(variance + 1e-5) for x in numbers]

    def _couplings(self, query: list[list[float]], key: list[list[float]]) -> list[list[float]]:
        def softmax(row: list[float]) -> list[float]:
            total = sum(exp(x) for x in row)
            return [exp(x) / total for x in row]

        def divergence(p: list[float], r: list[float]) -> float:
            total = 0.0
            for a, b in zip(p, r, strict=True):
                middle = (a + b) / 2
                total += 0.5 * a * log2(a / middle) + 0.5 * b * log2(b / middle)
            return total

        n = range(self.tokens)
        table = [[divergence(softmax(query[i]), softmax(key[j])) for j in n] for i in n]
        pairs = [(i, j) for i in n for j in n if i != j]
        for (i, j), x in zip(pairs, self._norm([table[i][j] for i, j in pairs]), strict=True):
            table[i][j] = x
        return table

    def weights(self, x: Array) -> list[list[float]]:
        bits = x.shape[2]
        return [
            [
                sum(2**b * float(x[t, i, b]) for b in range(bits)) / (2**bits - 1)
                for i in range(self.tokens)
            ]
            for t in range(self.heads)
        ]

    def token_energy(self, w: list[list[float]], t: int, i: int, cq: float, cl: float) -> float:
        pulled = sum(self.j[t][i][j] * w[t][i] * w[t][j] for j in range(self.tokens))
        return -cq * pulled - cl * self.h[t][i] * w[t][i]

    def energy(self, x: Array, cq: float = 1.0, cl: float = 1.0, price: float = 2.0) -> float:
        w = self.weights(x)
        total = 0.0
        for t in range(self.heads):
            for i in range(self.tokens):
                total += self.token_energy(w, t, i, cq, cl)
        pairs = [(t, u) for u in range(self.heads) for t in range(u)]
        for t, u in pairs:
            for i in range(self.tokens):
                for b in range(x.shape[2]):
                    total += price / len(pairs) * float(x[t, i, b] * x[u, i, b])
        return total

    def output(self, x: Array) -> Array:
        w = self.weights(x)
        result = np.zeros((self.heads, self.tokens, self.width))
        for t in range(self.heads):
            flat = [
                -self.token_energy(w, t, i, 1.0, 1.0) * self.eta[t][i][d] / self.h[t][i]
                for i in range(self.tokens)
                for d in range(self.width)
            ]
            result[t] = np.reshape(self._norm(flat), (self.tokens, self.width))
        return result


def states(heads: int, tokens: int, bits: int) -> Array:
    return np.array(list(product((0, 1), repeat=heads * tokens * bits)), dtype=np.float64)


@pytest.mark.parametrize("seed", range(5))
def test_every_state_has_the_references_energy(seed: int) -> None:
    q, k, v = inputs(seed)
    reference, points = Naive(q, k, v), states(2, 3, 2)
    program = qa.qama_program(q, k, v, bits=2)
    program.verify()
    assert len(points) == 2**12
    expected = [reference.energy(point.reshape(2, 3, 2)) for point in points]
    np.testing.assert_allclose(program.energies(points), expected, atol=1e-10)
    coupling, field = qama.couplings(q, k), qama.token_field(qama.eta(v))
    given_bits = qama.energy(coupling, field, points.reshape(-1, 2, 3, 2))
    np.testing.assert_allclose(given_bits, expected, atol=1e-10)


@given(
    st.integers(0, 10_000),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(-1, 3)),
)
@settings(max_examples=40)
def test_any_shape_and_strength(
    seed: int, heads: int, tokens: int, bits: int, strength: tuple[float, float, float]
) -> None:
    q, k, v = inputs(seed, heads, tokens, width=2)
    cq, cl, price = strength
    program = qa.qama_program(q, k, v, bits, quadratic=cq, linear=cl, penalty=price)
    program.verify()
    reference = Naive(q, k, v)
    points = np.random.default_rng(seed).integers(0, 2, (20, heads * tokens * bits))
    expected = [reference.energy(p.reshape(heads, tokens, bits), cq, cl, price) for p in points]
    np.testing.assert_allclose(program.energies(points), expected, atol=1e-9)


def test_variables_are_bits_of_a_tokens_weight() -> None:
    program = qa.qama_program(*inputs(0), bits=2)
    assert program.labels[:4] == ["w[0,*,0,0]", "w[0,*,0,1]", "w[0,*,1,0]", "w[0,*,1,1]"]
    assert program.labels[-1] == "w[1,*,2,1]"
    variables = program.variables
    assert set(variables.role) == {Role.WEIGHT}
    assert program.is_binary
    assert not len(program.constraints)
    assert np.isnan(variables.mass).all()
    assert qa.Program.parse(program.text(exact=True)).same(program)


def test_golden(golden: Callable[[str, str], None]) -> None:
    q = np.array([[[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]], [[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]]])
    k = np.array([[[0.0, 1.0], [1.0, 0.0], [0.0, 3.0]], [[2.0, 0.0], [1.0, 1.0], [0.0, 1.0]]])
    v = np.array([[[1.0, 1.0], [3.0, 1.0], [1.0, 7.0]], [[1.0, 2.0], [1.0, 7.0], [2.0, 2.0]]])
    golden("qama.txt", str(qa.qama_program(q, k, v, bits=1)))


def test_coefficients_are_the_references() -> None:
    q, k, v = inputs(7, heads=3, tokens=4)
    reference = Naive(q, k, v)
    np.testing.assert_allclose(qama.eta(v), reference.eta, atol=1e-12)
    np.testing.assert_allclose(qama.token_field(qama.eta(v)), reference.h, atol=1e-9)
    np.testing.assert_allclose(qama.couplings(q, k), reference.j, atol=1e-9)


def test_smoothing_is_the_released_layers() -> None:
    """p log2(p / (m + eps) + eps), written out; small against the divergence itself."""
    q, k, _ = inputs(1, heads=1, tokens=1)
    p, r = (np.exp(x[0, 0]) / np.exp(x[0, 0]).sum() for x in (q, k))
    m, eps = (p + r) / 2, 1e-3
    one = (p * np.log2(p / (m + eps) + eps)).sum()
    two = (r * np.log2(r / (m + eps) + eps)).sum()
    assert qama.couplings(q, k, smoothing=eps)[0, 0, 0] == pytest.approx((one + two) / 2)
    assert qama.couplings(q, k)[0, 0, 0] != pytest.approx((one + two) / 2, abs=1e-4)
    smooth, plain = (qa.qama_program(*inputs(1), smoothing=s).objective for s in (1e-6, 0.0))
    assert 0 < np.abs(smooth.linear - plain.linear).max() < 1e-3


def test_divergence_is_between_zero_and_one() -> None:
    q = np.array([[[900.0, 0.0]]])
    assert qama.couplings(q, q)[0, 0, 0] == 0
    assert qama.couplings(q, -q)[0, 0, 0] == pytest.approx(1)


def test_gradient_is_the_finite_difference() -> None:
    q, k, v = inputs(3)
    coupling, field = qama.couplings(q, k), qama.token_field(qama.eta(v))
    x = np.random.default_rng(3).integers(0, 2, (2, 3, 2))
    by_coupling, by_field = qama.energy_gradient(qama.soft_selection(x), quadratic=0.7, linear=1.3)

    def value(j: Array, h: Array) -> float:
        return float(qama.energy(j, h, x, quadratic=0.7, linear=1.3))

    step = 1e-4
    for array, gradient, which in ((coupling, by_coupling, 0), (field, by_field, 1)):
        for place in np.ndindex(array.shape):
            ends = []
            for sign in (step, -step):
                moved = [coupling.copy(), field.copy()]
                moved[which][place] += sign
                ends.append(value(*moved))
            assert gradient[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-8)
    assert by_coupling.any()
    assert by_field.any()


def test_decoding_takes_the_best_sample() -> None:
    q, k, v = inputs(5)
    reference, points = Naive(q, k, v), states(2, 3, 2)
    energies = np.array([reference.energy(p.reshape(2, 3, 2)) for p in points])
    result = qa.qama_decode(points, q, k, v, bits=2)
    assert result.energy == pytest.approx(energies.min())
    best = points[energies.argmin()].reshape(2, 3, 2)
    np.testing.assert_array_equal(result.bits, best)
    np.testing.assert_allclose(result.weights, reference.weights(best))
    np.testing.assert_allclose(result.output, reference.output(best), atol=1e-7)
    np.testing.assert_allclose(result.gradient[1], -result.weights)
    np.testing.assert_allclose(result.output.mean(axis=(1, 2)), 0, atol=1e-12)


def test_it_lowers_like_any_program(cache: qa.EmbeddingCache) -> None:
    q, k, v = inputs(2)
    program = qa.qama_program(q, k, v, bits=2)
    target = qa.Target.zephyr(3)
    pipeline = qa.Pipeline((qa.InsertPenalties(), qa.Embed(target, cache)), verify_each=True)
    stages = pipeline.run(program)
    placement = stages[-1].rewrite.placement
    assert stages[-1].program.same(program)
    assert placement is not None
    assert placement.submissions == 1
    assert len(placement.chain_ptr) == 13


def test_zero_values_leave_the_couplings_alone() -> None:
    q, k, _ = inputs(4)
    v = np.zeros((2, 3, 4))
    terms = qama.eta(v)
    np.testing.assert_allclose(terms, 1e-6 * -np.log2(1e-6))
    field = qama.token_field(terms)
    np.testing.assert_allclose(field, 0, atol=1e-12)
    result = qa.qama_decode(states(2, 3, 2), q, k, v, bits=2)
    assert (result.output == 0).all()
    assert result.energy < 0


def test_rounding_noise_is_no_field() -> None:
    """Values all alike have a mean that is off by a rounding, and no field."""
    q, k, _ = inputs(4, tokens=3, width=2)
    v = np.full((2, 3, 7), 0.1)
    assert qama.token_field(qama.eta(v)).any()
    samples = np.random.default_rng(4).integers(0, 2, (4, 2 * 3))
    assert (qa.qama_decode(samples, q, k, v, bits=1).output == 0).all()


def test_one_token_has_no_field_and_its_own_coupling() -> None:
    q, k, v = inputs(6, tokens=1)
    program = qa.qama_program(q, k, v, bits=1)
    np.testing.assert_allclose(program.objective.linear, -qama.couplings(q, k)[:, 0, 0])
    assert program.objective.bias.tolist() == [2.0]
    assert (qa.qama_decode([[1, 1]], q, k, v, bits=1).output == 0).all()


def test_one_head_pays_nothing() -> None:
    q, k, v = inputs(8, heads=1)
    cheap, dear = (qa.qama_program(q, k, v, penalty=p) for p in (0.0, 100.0))
    assert cheap.same(dear)


def test_values_whose_sum_vanishes_stay_finite() -> None:
    v = np.array([[[1.0, -1.0 - 1e-6], [0.0, -1e-6], [1.0, 1.0]]])
    assert np.isfinite(qama.eta(v)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": np.zeros((3, 4))}, r"query has shape \(3, 4\); expected \(heads, tokens, feat"),
        ({"key": np.zeros((2, 3, 5))}, r"query has shape \(2, 3, 4\), key \(2, 3, 5\)"),
        ({"value": np.zeros((2, 2, 4))}, r"value has shape \(2, 2, 4\); expected \(2, 3, d\)"),
        ({"value": np.zeros((2, 3, 0))}, r"value has shape \(2, 3, 0\)"),
        ({"value": [[[1.0], [1.0, 2.0]]]}, "value is not a rectangular array"),
        ({"key": np.full((2, 3, 4), np.nan)}, r"key\[0,0,0\] is nan \(head 0, token 0\)"),
        ({"key": np.full((2, 3, 4), -1e301)}, r"key\[0,0,0\] is -1e\+301 .* at most 1e\+300"),
        ({"query": np.ma.masked_array(np.zeros((2, 3, 4)), True)}, r"query\[0,0,0\] is nan"),
        ({"linear": 1e308}, r"linear of 1e\+308 makes energies whose squares overflow"),
        ({"bits": 0}, "bits must be a whole number from 1 to 16, not 0"),
        ({"bits": 2.5}, "bits must be a whole number from 1 to 16, not 2.5"),
        ({"penalty": np.inf}, "penalty must be a finite number, not inf"),
        ({"smoothing": -1.0}, "smoothing must be a finite number of at least 0, not -1.0"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object], message: str) -> None:
    q, k, v = inputs(0)
    with pytest.raises(qa.InputError, match=message):
        qa.qama_program(**({"query": q, "key": k, "value": v} | change))


def test_large_arguments_stay_finite() -> None:
    q, k, v = inputs(0)
    large = {"quadratic": 1e100, "linear": -1e100, "penalty": 1e100}
    arrays = (1e298 * q, -1e298 * k, 1e298 * v)
    assert np.isfinite(qa.qama_program(*arrays, **large).objective.bias).all()
    result = qa.qama_decode(np.ones((1, 24)), *arrays, **large)
    assert np.isfinite(result.output).all()
    assert np.isfinite(result.energy)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((4, 11)), r"samples have shape \(4, 11\); expected \(samples, 12\)"),
        (np.zeros((0, 12)), r"samples have shape \(0, 12\)"),
        (-np.ones((1, 12)), "values other than 0 and 1"),
    ],
)
def test_foreign_samples_are_rejected(samples: Array, message: str) -> None:
    with pytest.raises(qa.DecodeError, match=message):
        qa.qama_decode(samples, *inputs(0), bits=2)
