"""What a sampler is: a machine, a composite on the way to one, or a solver of logical models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

# What composites have that embed models themselves: those of dwave-system, and its clique sampler.
_EMBED = ("find_embedding", "embedding", "embeddings", "largest_clique")


def machine_behind(sampler: object) -> Any | None:
    """Return the structured sampler that models given to ``sampler`` reach as they are.

    That is the sampler itself where it lists qubits and couplers, or what a composite sits on that
    changes models without embedding them: spin reversal, tracking, scaling, truncation. Composites
    that embed models themselves take logical ones, and so do samplers without a structure.

    Args:
        sampler: any dimod sampler or composite.

    Returns:
        A sampler with ``nodelist`` and ``edgelist``; None for one of logical models.

    Example:
        >>> import dimod
        >>> path = dimod.StructureComposite(dimod.ExactSolver(), [0, 1], [(0, 1)])
        >>> machine_behind(dimod.TrackingComposite(path)) is path
        True
        >>> machine_behind(dimod.ExactSolver())
    """
    for layer in layers(sampler):
        wraps = _child(layer) is not None
        if wraps and any(hasattr(layer, name) for name in _EMBED):
            return None
        if getattr(layer, "nodelist", None) is not None and hasattr(layer, "edgelist"):
            return layer
    return None


def layers(sampler: object) -> Iterator[Any]:
    """Yield a sampler, what it sits on if it is a composite, and so on."""
    layer, seen = sampler, set[int]()
    while layer is not None and id(layer) not in seen:
        yield layer
        seen.add(id(layer))
        layer = _child(layer)


def _child(sampler: Any) -> Any | None:
    """Return the sampler that a composite sits on."""
    children = getattr(sampler, "children", None)
    if isinstance(children, Sequence) and children:
        return children[0]
    return getattr(sampler, "child", None)
