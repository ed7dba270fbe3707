"""Tensors of torch, wherever an array is taken: read as they are, or refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import qubo_attn as qa

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

# Two queries, each sure of one key: as logits, values, probabilities and masks alike.
RIGHT = [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]]


def _nested(layout: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the layout is a prototype
        rows = [torch.zeros(2, 3), torch.zeros(3, 3)]
        return torch.nested.nested_tensor(rows, layout=layout)


def _quantised() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that quantisation moves elsewhere
        return torch.quantize_per_tensor(torch.tensor(RIGHT), 0.1, 0, torch.qint8)


def _compressed() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the layout is in beta
        return torch.tensor(RIGHT[0]).to_sparse_csr()


def _fake() -> Any:
    with FakeTensorMode():
        return torch.zeros(1, 3, 3)


WITHOUT_NUMBERS = {
    "meta": (lambda: torch.zeros(1, 3, 3, device="meta"), "is a meta tensor"),
    "in a list": (lambda: [torch.zeros(3, 3, device="meta")], "is a meta tensor"),
    "nested": (lambda: _nested(torch.strided), "nested tensor; hand in .*to_padded_tensor"),
    "jagged": (lambda: _nested(torch.jagged), "nested tensor; hand in .*to_padded_tensor"),
    "quantised": (_quantised, r"quantised tensor; hand in its dequantize\(\)"),
    "coo": (lambda: torch.tensor(RIGHT).to_sparse(), r"sparse_coo; hand in its to_dense\(\)"),
    "csr": (_compressed, r"sparse_csr; hand in its to_dense\(\)"),
    "complex": (lambda: torch.tensor(RIGHT) + 1j, "complex tensor; hand in real numbers"),
    "fake": (_fake, "is a tensor that NumPy cannot read"),
}


def compiled_with(name: str, tensor: Any) -> Any:
    return compiled(**{name: tensor})


def compiled(**arguments: Any) -> Any:
    scores = arguments.pop("scores", RIGHT)
    options = {"select": qa.OneHot(), "objective": "output", "values": RIGHT, "target": None}
    return qa.compile(scores, 1, **options | arguments)


TAKERS: dict[str, Callable[[Any], Any]] = {
    "attentions": lambda tensor: qa.from_attentions((tensor,)),
    **{
        name: partial(compiled_with, name)
        for name in ("scores", "values", "keys", "mask", "kv_head", "required", "forbidden")
    },
}


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize(("made", "message"), WITHOUT_NUMBERS.values(), ids=WITHOUT_NUMBERS)
def test_tensors_without_numbers_are_named(
    name: str, made: Callable[[], Any], message: str
) -> None:
    with pytest.raises(qa.InputError, match=f"^{name} .*{message}") as caught:
        TAKERS[name](made())
    assert caught.value.argument == name


WITH_NUMBERS = {
    "float16": lambda x: x.half(),
    "bfloat16": lambda x: x.bfloat16(),
    "float64": lambda x: x.double(),
    "float8": lambda x: x.to(torch.float8_e4m3fn),
    "int64": lambda x: x.long(),
    "with a gradient": lambda x: x.requires_grad_(),
    "a parameter": torch.nn.Parameter,
    "transposed": lambda x: x.mT.contiguous().mT,
    "strided": lambda x: x.repeat_interleave(2, 2)[..., ::2],
    "expanded": lambda x: x[0].expand(1, 3, 3),
    "negated in view": lambda x: (-1j * x.double()).conj().imag,
    "a list": lambda x: [x[0].bfloat16().requires_grad_()],
    "a list of scalars": lambda x: [[list(row) for row in x.requires_grad_()[0]]],
}


@pytest.mark.parametrize("made", WITH_NUMBERS.values(), ids=WITH_NUMBERS)
def test_tensors_of_any_type_are_read(made: Callable[[Any], Any]) -> None:
    tensor = made(torch.tensor(RIGHT))
    result = compiled(scores=tensor, values=tensor)
    np.testing.assert_array_equal(result.attention.logits, RIGHT)
    np.testing.assert_array_equal(result.attention.values, RIGHT)


@pytest.mark.parametrize("transform", ["grad", "vmap"])
def test_tensors_of_functional_transforms_are_named(transform: str) -> None:
    def summed(x: Any) -> Any:
        with pytest.raises(qa.InputError, match="scores is a tensor that NumPy cannot read"):
            compiled(scores=x)
        return x.sum()

    if transform == "grad":
        torch.func.grad(summed)(torch.tensor(RIGHT))
    else:
        torch.vmap(summed)(torch.tensor([RIGHT]))


@pytest.mark.parametrize("made", [_fake, lambda: _nested(torch.strided), lambda: torch.zeros(2)])
def test_tensors_are_no_numbers(made: Callable[[], Any]) -> None:
    """Where one number is asked for, a tensor of several, or of none, is named."""
    tensor = made()
    for call, name in (
        (lambda: qa.ExactlyK(tensor), "k"),
        (lambda: qa.Selection(alpha=tensor), "alpha"),
        (lambda: qa.compile(RIGHT, tensor, target=None), "heads"),
        (lambda: compiled(slots=tensor), "slots"),
        (lambda: compiled(chain_strength=tensor), "chain_strength"),
    ):
        with pytest.raises(qa.InputError) as caught:
            call()
        assert caught.value.argument == name
