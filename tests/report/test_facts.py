from __future__ import annotations

import json

import numpy as np

import qubo_attn as qa


def test_a_report_proves_only_what_it_is_asked_to(minilm: dict[str, np.ndarray]) -> None:
    compiled = qa.compile(minilm["scores"][:2], 2, select=qa.ExactlyK(3), slots=6, target=None)
    report = compiled.report()
    assert [stage["bound"] for stage in report.stages] == [0.0, None, 0.0, 0.0]
    assert str(report).count("to prove") == 2
    assert "report(prove=True) proves it" in str(report)
    proved = compiled.report(prove=True)
    assert sum(stage["bound"] for stage in proved.stages) == compiled.bound
    assert "to prove" not in str(proved)
    assert "to prove" in compiled._repr_html_()


def test_facts_are_plain_data(minilm: dict[str, np.ndarray], cache: qa.EmbeddingCache) -> None:
    compiled = qa.compile(
        minilm["scores"][:2, :3], 2, select=qa.ExactlyK(2), target="zephyr:3", cache=cache
    )
    report = compiled.report(reads=2000)
    facts = json.loads(json.dumps(report.to_dict()))
    (part,) = facts["submissions"]
    assert part["qubits"] == compiled.submissions[0].qubits
    assert sum(facts["chains"].values()) == part["variables"] == len(compiled.program)
    assert facts["machine"]["milliseconds"] == compiled.schedule(2000).microseconds / 1000
    assert part["milliseconds"] == facts["machine"]["milliseconds"]
    assert f"{part['milliseconds']:.1f} ms of machine time" in str(report)
    assert report._repr_html_().startswith("<pre ")
