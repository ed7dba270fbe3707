"""Tensors that the layer, its function and QAMA take, and those that they name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import qubo_attn as qa  # noqa: E402
from qubo_attn.torch import (  # noqa: E402
    AnnealedAttention,
    Annealing,
    annealed_attention,
    qama_attention,
    replace_attention,
)
from tests.common.test_tensors import WITHOUT_NUMBERS  # noqa: E402

ALL = {"select": qa.ExactlyK(1000), "objective": "hard"}
X = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0)).abs()


def layer(**tensors: Any) -> Any:
    given = {"query": X, "key": X, "value": X} | tensors
    return AnnealedAttention(4, 2, batch_first=True, **ALL)(**given)


def function(**tensors: Any) -> Any:
    given = {"scores": X[..., :3], "values": X} | tensors
    return annealed_attention(**given, annealing=Annealing(**ALL))


def qama(**tensors: Any) -> Any:
    return qama_attention(**{"query": X, "key": X, "value": X} | tensors, bits=2)


TAKERS = [
    *((layer, name) for name in ("query", "key", "value")),
    *((function, name) for name in ("scores", "values", "keys")),
    *((qama, name) for name in ("query", "key", "value")),
]
WRONG = {name: made for name, (made, _) in WITHOUT_NUMBERS.items() if name != "in a list"} | {
    "int64": lambda: X.long(),
    "bool": lambda: X.bool(),
    "float8": lambda: X.to(torch.float8_e4m3fn),
    "an array": lambda: X.numpy(),
    "a list": lambda: X.tolist(),
    "uninitialised": nn.parameter.UninitializedParameter,
}


@pytest.mark.parametrize("made", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize(("call", "name"), TAKERS)
def test_what_is_no_tensor_of_floats_is_named(
    call: Callable[..., Any], name: str, made: Callable[[], Any]
) -> None:
    with pytest.raises(qa.InputError, match=f"^{name} ") as caught:
        call(**{name: made()})
    assert caught.value.argument == name


@pytest.mark.parametrize("call", [layer, function, qama])
def test_functional_transforms_are_named(call: Callable[..., Any]) -> None:
    first = {layer: "query", function: "scores", qama: "query"}[call]

    def summed(x: Any) -> Any:
        with pytest.raises(qa.InputError, match=f"^{first} is a tensor that NumPy cannot read"):
            call(**{first: x})
        return x.sum()

    torch.func.grad(summed)(X[..., :3])
    torch.vmap(summed, randomness="same")(X[None])


FORMS = {
    "transposed": lambda x: x.mT.contiguous().mT,
    "strided": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "a parameter": nn.Parameter,
    "with a history": lambda x: x.clone().requires_grad_() * 1,
    "negated in view": lambda x: (-1j * x).conj().imag,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("call", "name"), TAKERS)
def test_any_form_in_memory_serves(call: Callable[..., Any], name: str, form: Any) -> None:
    tensor = X[..., :3] if name == "scores" else X
    expected, found = [], []
    for given, results in ((tensor, expected), (form(tensor.clone()), found)):
        torch.manual_seed(0)
        results += call(**{name: given})[:2]
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_scores_and_values_may_differ_in_type(dtype: Any) -> None:
    """The context has the wider type, the weights that of the scores."""
    scores = torch.tensor([[1.0, 1.0, -torch.inf]])
    values = torch.tensor([[2.0], [4.0], [torch.nan]])
    for types in ((dtype, torch.float32), (torch.float32, dtype), (dtype, dtype)):
        s = scores.to(types[0]).detach().clone().requires_grad_()
        v = values.to(types[1]).detach().clone().requires_grad_()
        context, weights, _ = annealed_attention(s, v, Annealing(**ALL))
        assert (weights.dtype, context.dtype) == (types[0], torch.promote_types(*types))
        assert (weights.tolist(), context.tolist()) == ([[0.5, 0.5, 0.0]], [[3.0]])
        context.sum().backward()
        assert v.grad.tolist() == [[0.5], [0.5], [0.0]]
        assert s.grad.tolist() == [[-0.5, 0.5, 0.0]]


def test_qama_takes_several_types() -> None:
    expected = qama(query=X.double(), key=X.double(), value=X.double())
    for name in ("query", "key", "value"):
        for one, other in zip(expected, qama(**{name: X.double()}), strict=True):
            assert other.dtype == torch.float64
            torch.testing.assert_close(other, one)


def test_autocast_serves() -> None:
    torch.manual_seed(0)
    classical = nn.MultiheadAttention(4, 2, batch_first=True)
    ours = AnnealedAttention.from_attention(classical, **ALL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        context, weights = ours(X, X, X)
        context.sum().backward()
    expected, theirs = classical(X, X, X)
    torch.testing.assert_close(weights.float(), theirs, rtol=0, atol=0.02)
    torch.testing.assert_close(context.float(), expected, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": torch.bfloat16}, r"query, key and value \(torch.float32, cpu\) do not fit"),
        ({"device": "meta"}, r"do not fit the layer's parameters \(torch.float32, meta\)"),
        ({"num_heads": 3}, r"embed_dim \(4\) must be a multiple of num_heads \(3\)"),
        ({"num_heads": 0}, "num_heads must be a whole number of at least 1"),
    ],
)
def test_parameters_that_do_not_fit_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(qa.InputError, match=message):
        AnnealedAttention(**{"embed_dim": 4, "num_heads": 2, **ALL} | options)(X, X, X)


def test_other_arguments_are_named() -> None:
    for call, name in (
        (lambda: annealed_attention(X, X, "hard"), "annealing"),
        (lambda: annealed_attention(X[..., :3], X, dropout_p=2), "dropout_p"),
        (lambda: annealed_attention(X[0, 0], X), "scores"),
        (lambda: replace_attention("model"), "model"),
        (lambda: AnnealedAttention.from_attention(nn.Linear(2, 2)), "attention"),
        (lambda: qama_attention(X, X, X, seed="x"), "seed"),
        (lambda: qama_attention(X, X, X, sampler_options={"num_read": 3}), "num_read"),
    ):
        with pytest.raises(qa.InputError) as caught:
            call()
        assert caught.value.argument == name
