"""Tensors of torch, as NumPy reads them; torch itself is not needed."""

from __future__ import annotations

from typing import Any

from qubo_attn.errors import InputError


def check_tensor(name: str, tensor: Any, *, floating: bool = False) -> None:
    """Reject a tensor that has no real number for each index, and what is no tensor.

    Args:
        name: of the argument, for the message.
        tensor: torch's, on any device, with or without a gradient.
        floating: whether it must hold floats of at least 16 bits.

    Raises:
        InputError: it is meta, nested, quantised, sparse, complex or no tensor at all; ``argument``
            is its name.
    """
    fault = _fault(tensor)
    if not fault and floating and not (tensor.is_floating_point() and tensor.itemsize > 1):
        fault = f"has type {tensor.dtype}; expected floating numbers of 16 bits or more"
    if fault:
        raise InputError(f"{name} {fault}", argument=name)


def _fault(tensor: Any) -> str:
    if not hasattr(tensor, "is_nested"):
        return f"is a {type(tensor).__name__}, not a torch tensor"
    if tensor.is_nested:
        return "is a nested tensor; hand in torch.nested.to_padded_tensor(...) and a mask"
    if tensor.is_quantized:
        return "is a quantised tensor; hand in its dequantize()"
    if not str(tensor.layout).endswith("strided"):
        return f"is a tensor of layout {tensor.layout}; hand in its to_dense()"
    if tensor.is_meta:
        return "is a meta tensor, which has a shape and no numbers"
    if tensor.is_complex():
        return "is a complex tensor; hand in real numbers"
    try:
        _numpy(tensor[(slice(1),) * tensor.ndim])
    except Exception as error:  # tensors of torch.func, of FakeTensorMode and of other subclasses
        return f"is a tensor that NumPy cannot read ({error})"
    return ""


def _numpy(tensor: Any) -> Any:
    tensor = tensor.detach().cpu().resolve_neg()
    return (tensor.double() if tensor.is_floating_point() else tensor).numpy()


def as_array(name: str, given: Any) -> Any:
    """Return what NumPy reads: tensors as arrays, in lists too; all else as it is.

    Args:
        name: of the argument, for the message.
        given: floating tensors of any type become float64, others keep their type.

    Raises:
        InputError: a tensor has no numbers to read; ``argument`` is its name.

    Example:
        >>> as_array("scores", [[1.0, 2.0]])
        [[1.0, 2.0]]
    """
    if isinstance(given, (list, tuple)) and given:
        nested = isinstance(given[0], (list, tuple)) or hasattr(given[0], "is_nested")
        return [as_array(name, part) for part in given] if nested else given
    if not hasattr(given, "is_nested"):
        return given
    check_tensor(name, given)
    return _numpy(given)


def sparse_parts(name: str, tensor: Any) -> tuple[Any, Any, tuple[int, ...], Any]:
    """Return the entries of a sparse tensor of torch, in NumPy's arrays.

    Args:
        name: of the argument, for the message.
        tensor: of layout COO, CSR, CSC, BSR or BSC, on any device.

    Returns:
        Indices, int64, shape (axes, entries); entries, float64; the shape; and an empty array of
        torch's type. Entries that a COO tensor holds twice are added up.

    Raises:
        InputError: it is no such tensor, or its entries are vectors.

    Example:
        >>> import torch
        >>> sparse_parts("tensor", torch.eye(2).to_sparse())[1:3]
        (array([1., 1.]), (2, 2))
    """
    layout = str(getattr(tensor, "layout", ""))
    if not layout.startswith("torch.sparse"):
        raise InputError(f"{name} must be a sparse tensor of torch", argument=name)
    if layout != "torch.sparse_coo" and tensor.ndim == 3:
        # torch turns no batch of compressed rows into coordinates; heads one by one it does.
        import torch

        tensor = torch.stack([head.to_sparse_coo() for head in tensor.unbind()])
    tensor = tensor.detach().to_sparse_coo().coalesce()
    if tensor.dense_dim():
        raise InputError(f"{name} holds a vector at each entry", argument=name)
    entries = as_array(name, tensor.values())
    return tensor.indices().cpu().numpy(), entries, tuple(tensor.shape), tensor.values()[:0]
