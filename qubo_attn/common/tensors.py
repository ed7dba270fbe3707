"""Tensors of torch, as NumPy reads them; torch itself is not needed."""

from __future__ import annotations

from typing import Any

from qubo_attn.errors import InputError


def check_tensor(name: str, tensor: Any) -> None:
    """Reject a tensor that has no real number for each index, and what is no tensor.

    Args:
        name: of the argument, for the message.
        tensor: torch's, on any device, with or without a gradient.

    Raises:
        InputError: it is meta, nested, quantised, sparse, complex or no tensor at all; ``argument``
            is its name.
    """
    if not hasattr(tensor, "is_nested"):
        fault = f"is a {type(tensor).__name__}, not a torch tensor"
    elif tensor.is_nested:
        fault = "is a nested tensor; hand in torch.nested.to_padded_tensor(...) and a mask"
    elif tensor.is_quantized:
        fault = "is a quantised tensor; hand in its dequantize()"
    elif not str(tensor.layout).endswith("strided"):
        fault = f"is a tensor of layout {tensor.layout}; hand in its to_dense()"
    elif tensor.is_meta:
        fault = "is a meta tensor, which has a shape and no numbers"
    elif tensor.is_complex():
        fault = "is a complex tensor; hand in real numbers"
    else:
        return
    raise InputError(f"{name} {fault}", argument=name)


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
    try:
        tensor = given.detach().cpu().resolve_neg()
        return (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    except Exception as error:  # tensors of torch.func, of FakeTensorMode and of other subclasses
        raise InputError(
            f"{name} is a tensor that NumPy cannot read ({error})", argument=name
        ) from error
