from __future__ import annotations

import json

import numpy as np
import pytest

import qubo_attn as qa
from qubo_attn.machine.limits import COUPLING_ERROR, FIELD_ERROR


@pytest.fixture(scope="module")
def compiled(minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache) -> qa.CompiledAttention:
    return qa.compile(
        minilm["scores"],
        12,
        select=qa.ExactlyK(3),
        objective="output",
        values=minilm["value"],
        target="zephyr:3",
        cache=cache,
    )


def test_precision_row_by_row(compiled: qa.CompiledAttention) -> None:
    table = compiled.precision()
    values, placement, plan = compiled.coefficients, compiled.placement, compiled.plan
    variables = compiled.program.variables
    seen = set()
    for row in range(len(table.field)):
        mine = np.flatnonzero(placement.component == row)
        share = np.mean(1 / placement.chain_lengths[mine])
        assert table.field[row] == pytest.approx(np.std(values.h[mine]) * share)
        pairs = np.flatnonzero(np.isin(plan.i, mine))
        if len(pairs) > 1:
            carriers = [np.count_nonzero(plan.coupling_of == t) for t in pairs]
            wanted = np.std(values.coupling[pairs]) * np.mean(1 / np.array(carriers))
            assert table.coupling[row] == pytest.approx(wanted)
        place = int(table.head[row]), int(table.query[row])
        assert place in set(zip(variables.head[mine], variables.query[mine], strict=True))
        assert (placement.submission[mine] == table.submission[row]).all()
        seen.add(place)
    assert len(seen) == len(table.field)
    assert np.allclose(2**table.field_bits - 1, table.field / FIELD_ERROR)
    assert np.allclose(2**table.coupling_bits - 1, table.coupling / COUPLING_ERROR)


def test_the_report_says_what_the_machine_would_do(compiled: qa.CompiledAttention) -> None:
    facts = json.loads(json.dumps(compiled.report(reads=20_000).to_dict()))
    plan = compiled.schedule(20_000)
    assert facts["machine"]["calls"] == len(plan.calls) > len(compiled.submissions)
    assert facts["machine"]["milliseconds"] == pytest.approx(plan.microseconds / 1000)
    for part, stated in zip(compiled.submissions, facts["submissions"], strict=True):
        assert stated["auto_scale"] == part.auto_scale <= 1
        assert stated["calls"] == [call.reads for call in plan.of(part.index)]
        bounds = np.array(list(part.chain_bound.values()))
        many = np.diff(part.physical.chain_ptr) > 1
        assert stated["below_bound"] == (part.physical.strength <= bounds)[many].sum()
        assert stated["chain_strength"] == [
            part.physical.strength.min(),
            part.physical.strength.max(),
        ]
    text = str(compiled.report())
    assert "auto-scale 1.000, chain strength" in text
    assert "1 call of 1000 reads, " in text
    assert "(as is typical of its family)" in text


def test_logical_models_have_no_machine_facts(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(minilm["scores"], 12, select=qa.ExactlyK(2), target=None)
    assert compiled.report().machine == {}
    assert "machine" not in str(compiled.report())
    with pytest.raises(qa.PassError, match="compile for a structured target"):
        compiled.precision()
