"""Binary quadratic models as programs, and solutions as sample sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.errors import InputError
from qubo_attn.ir.columns import Constraints, Role, Variables
from qubo_attn.ir.program import Program
from qubo_attn.ir.quadratic import Quadratic
from qubo_attn.solving.solution import Solution, Way

if TYPE_CHECKING:
    import dimod


def program_of(bqm: dimod.BinaryQuadraticModel) -> Program:
    """Return a program of bits without constraints that has a model's energies.

    Raises:
        InputError: it is no such model, or a bias is not finite.
    """
    import dimod

    if not isinstance(bqm, dimod.BinaryQuadraticModel):
        raise InputError(
            f"a local solver samples a dimod.BinaryQuadraticModel, not a {type(bqm).__name__}; "
            "programs with constraints are for solve",
            argument="bqm",
        )
    model = bqm.change_vartype("BINARY", inplace=False)
    linear, (i, j, bias), offset = model.to_numpy_vectors(variable_order=list(model.variables))
    if not (np.isfinite(linear).all() and np.isfinite(bias).all() and np.isfinite(offset)):
        raise InputError("the biases of the model must be finite", argument="bqm")
    low, high, n = np.minimum(i, j), np.maximum(i, j), len(linear)
    order = np.lexsort((high, low))
    order = order[bias[order] != 0]
    form = Quadratic(float(offset), linear, low[order], high[order], bias[order])
    none = np.full(n, -1, np.int32)
    columns = Variables(
        head=none, query=none, key=np.arange(n, dtype=np.int32), bit=none,
        upper=np.ones(n, np.int32), role=np.full(n, Role.SELECT), mass=np.full(n, np.nan),
    )  # fmt: skip
    return Program(columns, form, Constraints.none())


def sampleset_of(bqm: dimod.BinaryQuadraticModel, solution: Solution) -> dimod.SampleSet:
    """Return a solution of a model's program as a sample set of one sample.

    Its ``info`` says whether the sample is ``proven`` to be an optimum, a lower ``bound`` on all
    energies, and how many independent parts of the model were solved by which of the ``methods``.
    """
    import dimod

    point = solution.point.astype(np.int8)
    if bqm.vartype is dimod.SPIN:
        point = 2 * point - 1
    samples = point[None], list(bqm.variables)
    sampleset = dimod.SampleSet.from_samples_bqm(samples, bqm, sort_labels=False)
    names, counts = np.unique(Way.names(solution.way), return_counts=True)
    proven = bool(solution.proven.all())
    energy = float(sampleset.record.energy[0])
    lacking = float((solution.energy - solution.bound)[~solution.proven].sum())
    sampleset.info.update(
        proven=proven,
        bound=energy - lacking,
        methods=dict(zip(names.tolist(), counts.tolist(), strict=True)),
    )
    return sampleset
