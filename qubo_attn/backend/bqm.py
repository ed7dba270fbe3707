"""dimod models of submissions, by the fastest public route.

dimod looks up the place of every coupler it is given, twice; no public call sets many couplers of a
model without. So a first model is made of sorted vectors, which is dimod's own fastest route, and
the next batch gains where couplers need not be given again:

* where they are those of the batch before, its model is copied and gets new linear biases;
* `into` takes a model over instead of copying it. Couplers that did change are written in place:
  nothing is allocated, and among few neighbours (16 slots) a place is found quickly.

A model is anyone's to edit once it is handed out. A copy is only made of a model that proves
untouched: labels, number of couplers, linear biases and offset exactly, couplers by the energy at a
random point, which tells edits down to the rounding of energies. All else is made anew.
"""

from __future__ import annotations

import operator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn import kernels
from qubo_attn.common.arrays import Floats, own_array, same_array

if TYPE_CHECKING:
    import dimod
    from numpy.typing import DTypeLike

    from qubo_attn.backend.submission import Submission

# Couplers looked at before a model is taken over unread: what edits a whole model (scale,
# normalize, change_vartype, flip_variable) shows in every one of them.
_SPOTS = 4


def fresh(part: Submission, dtype: DTypeLike = np.float64) -> dimod.BinaryQuadraticModel:
    """Return a model of sorted vectors."""
    import dimod

    # Labels that are the positions need no list: dimod then keeps none.
    return dimod.BinaryQuadraticModel.from_numpy_vectors(
        part.linear,
        (part.i, part.j, part.bias),
        part.offset,
        part.vartype,
        variable_order=None if part.plain else part.variables.tolist(),
        dtype=dtype,
    )


def copied(part: Submission, earlier: Submission | None) -> dimod.BinaryQuadraticModel | None:
    """Return a copy of an earlier batch's model with this one's linear biases.

    None where there is no such model, couplers are not the same, or somebody has edited it.
    """
    model = None if earlier is None else vars(earlier).get("bqm")
    if earlier is None or model is None or not _same_couplers(part, earlier):
        return None
    if not _untouched(model, earlier):
        return None
    made = model.copy()
    vars(part)["_pairs"] = _pairs(earlier)
    return made if _give_linear(made, earlier.linear, part) else None


def kept(part: Submission, model: dimod.BinaryQuadraticModel) -> dimod.BinaryQuadraticModel:
    """Return a model that ``part`` keeps, once its size is noted; see `copied`."""
    vars(part)["_size"] = model.nbytes()
    return model


def into(part: Submission, earlier: Submission) -> dimod.BinaryQuadraticModel | None:
    """Turn an earlier batch's model into this one's and return it; the earlier keeps none.

    None where there is no such model or it does not fit; it may have been changed by then.
    """
    model = vars(earlier).get("bqm")
    if model is None or part is earlier or not _same_structure(part, earlier):
        return None
    del vars(earlier)["bqm"]
    if model.vartype.name != part.vartype or model.num_variables != len(part.linear):
        return None
    if (
        _same_couplers(part, earlier)
        and _spots_hold(model, earlier)
        and _give_linear(model, earlier.linear, part)
    ):
        return model
    return model if _refill(model, part) else None


def _same_structure(part: Submission, earlier: Submission) -> bool:
    """Return whether both have the same couplers, whatever their values."""
    return (
        part.plain
        and earlier.plain
        and part.vartype == earlier.vartype
        and len(part.linear) == len(earlier.linear)
        and same_array(part.i, earlier.i)
        and same_array(part.j, earlier.j)
    )


def _same_couplers(part: Submission, earlier: Submission) -> bool:
    """Return whether both have the same couplers with the same values."""
    return same_array(part.bias, earlier.bias) and _same_structure(part, earlier)


def _give_linear(model: dimod.BinaryQuadraticModel, old: Floats, part: Submission) -> bool:
    """Replace linear biases and offset; return whether the old ones were as expected."""
    model.add_linear_from_array(-old)
    # No call sets them, so they go to zero first; NaN shows in the sum alone.
    if any(model.reduce_linear(function) for function in (max, min, operator.add)):
        return False
    model.add_linear_from_array(part.linear)
    model.offset = part.offset
    return bool(model.num_variables == len(old))


def _refill(model: dimod.BinaryQuadraticModel, part: Submission) -> bool:
    """Replace all biases in place; return whether the model has the couplers of ``part`` alone."""
    model.scale(0.0)
    try:
        model.data.add_quadratic_from_arrays(part.i, part.j, part.bias)
    except NotImplementedError:  # relabelled
        return False
    # What is not finite stays so when scaled.
    if not np.isfinite(model.reduce_linear(operator.add)):
        return False
    model.add_linear_from_array(part.linear)
    model.offset = part.offset
    return bool(model.num_interactions == len(part.bias))


def _spots_hold(model: dimod.BinaryQuadraticModel, part: Submission) -> bool:
    """Return whether some couplers of a model are those it was made with."""
    i, j, bias, last = part.i, part.j, part.bias, len(part.bias) - 1
    spots = {last * spot // _SPOTS for spot in range(_SPOTS + 1)} if last >= 0 else set()
    try:
        return all(model.get_quadratic(int(i[t]), int(j[t])) == bias[t] for t in spots)
    except ValueError:  # relabelled, or without one of them
        return False


def _untouched(model: dimod.BinaryQuadraticModel, part: Submission) -> bool:
    """Return whether a model is as it was made of ``part``, as far as the rounding of energies."""
    n = len(part.linear)
    if (
        model.vartype.name != part.vartype
        or model.offset != part.offset
        or model.num_variables != n
        # What tells couplers that came or went; dimod takes longer to count them.
        or model.nbytes() != vars(part).get("_size")
    ):
        return False
    point = _point(n)
    energy, norm = _pairs(part)
    expected = part.offset + float(np.einsum("i,i", point, part.linear)) + energy
    # Terms are at most 2 a_i and 4 b_ij. Their sums walk as far as their norm, and each of them
    # rounds; dimod adds them up in another order.
    walk = abs(part.offset) + 2 * _norm(part.linear) + 4 * norm
    rounding = 4 * np.finfo(np.float64).eps * np.sqrt(n + len(part.bias)) * walk
    try:
        found = model.energies(point[np.newaxis])
    except ValueError:  # relabelled
        return False
    return bool(abs(found[0] - expected) <= rounding)


@lru_cache(maxsize=2)
def _point(n: int) -> Floats:
    """Return the random point at which models of n variables are looked at."""
    generator = np.random.default_rng(0)
    # Of both signs, so that sums, and with them their rounding, stay small.
    return own_array(generator.uniform(1.0, 2.0, n) * generator.choice([-1.0, 1.0], n))


def _pairs(part: Submission) -> tuple[float, float]:
    """Return what couplers add to the energy at `_point`, and about the norm of their values.

    The norm is that of every sixteenth coupler, times four. Batches with the same couplers hand
    both on.
    """
    known: tuple[float, float] | None = vars(part).get("_pairs")
    if known is None:
        nothing = np.zeros(len(part.linear))
        point = _point(len(nothing))[np.newaxis]
        (energy,) = kernels.quadratic_energies(point, 0.0, nothing, part.i, part.j, part.bias)
        known = vars(part)["_pairs"] = float(energy), 4 * _norm(part.bias[::16])
    return known


def _norm(values: Floats) -> float:
    """Return the root of the sum of squares; without BLAS, whose threads take longer to wake."""
    return float(np.sqrt(np.einsum("i,i", values, values)))
