"""Ocean's route for `warm.py`: dimod's models of rows, embedded on the chains that we have."""

from __future__ import annotations

import dimod
import numpy as np
from dwave.embedding import EmbeddedStructure, embed_bqm
from dwave.embedding.chain_strength import uniform_torque_compensation

import qubo_attn as qa
from qubo_attn.ir.program import Program
from qubo_attn.machine.ranges import range_use


def unpriced(compiled: qa.CompiledAttention) -> Program:
    """Return the program before its constraints were priced."""
    priced = (stage.program.constraints.priced.any() for stage in compiled.stages)
    return compiled.stages[next(n for n, price in enumerate(priced) if price) - 1].program


def largest_bias(model: dimod.BinaryQuadraticModel) -> float:
    """Return the largest coefficient of a model, whatever its sign."""
    return float(max(map(abs, [*model.linear.values(), *model.quadratic.values()])))


def ocean_models(program: Program, factor: float) -> list[dimod.BinaryQuadraticModel]:
    """Return each row as Ocean lowers it: objective and an equality, through ``cqm_to_bqm``."""
    c, o, models = program.constraints, program.objective, []
    owner = np.full(len(program), -1)
    owner[c.var] = c.row
    for row in range(len(c)):
        var = c.var[c.ptr[row] : c.ptr[row + 1]].tolist()
        inside = np.flatnonzero(owner[o.i] == row)
        objective = dimod.BinaryQuadraticModel("BINARY")
        objective.add_linear_from(zip(var, o.linear[var], strict=True))
        objective.add_quadratic_from(zip(o.i[inside], o.j[inside], o.bias[inside], strict=True))
        model = dimod.ConstrainedQuadraticModel.from_bqm(objective)
        model.add_constraint([(v, 1) for v in var], "==", rhs=int(c.rhs[row]))
        weight = factor * largest_bias(objective)
        whole = dimod.cqm_to_bqm(model, lagrange_multiplier=weight)[0]
        models.append(whole.change_vartype("SPIN", inplace=False))
    return models


# Penalties in units of the largest bias: the default of `cqm_to_bqm`, and what suits warm machines.
FACTORS = {False: 10.0, True: 1.0}


def ocean(
    compiled: qa.CompiledAttention, *, by_row: bool
) -> tuple[list[dimod.BinaryQuadraticModel], np.ndarray]:
    """Return Ocean's embedded models of a compilation, on its own chains, within all ranges.

    Also returns the energy of each row per hardware unit.
    """
    program = unpriced(compiled)
    models = ocean_models(program, FACTORS[by_row])
    scales = np.ones(len(models))
    target, embedded = compiled.recipe.target, []
    assert target is not None
    graph = target.graph()
    for part in compiled.submissions:
        carried = set(part.variables.tolist())
        mine = [row for row, model in enumerate(models) if set(model.variables) <= carried]
        together = [[row] for row in mine] if by_row else [mine]
        whole = dimod.BinaryQuadraticModel("SPIN")
        for rows in together:
            model = dimod.BinaryQuadraticModel("SPIN")
            for row in rows:
                model.update(models[row])
            chains = {v: part.embedding[v] for v in model.variables}
            qubits = {q for chain in chains.values() for q in chain}
            structure = EmbeddedStructure(graph.subgraph(qubits).edges, chains)
            strength = uniform_torque_compensation(model)
            physical = embed_bqm(model, structure, chain_strength=strength)
            scales[rows] = used(target, physical)
            physical.scale(1.0 / scales[rows[0]])
            whole.update(physical)
        embedded.append(whole)
    return embedded, scales


def used(target: qa.Target, model: dimod.BinaryQuadraticModel) -> float:
    """Return the share of the machine's ranges that a physical model uses."""
    labels = list(model.variables)
    h, (i, j, bias), _ = model.to_numpy_vectors(labels)
    qubit = np.searchsorted(target.qubits, labels)
    return range_use(target, qubit, h, target.coupler_numbers(qubit[i], qubit[j]), bias)
