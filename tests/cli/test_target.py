"""``qubo-attn target fetch``, over HTTP to the stand-in of the solver API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from dwave.system import DWaveSampler
from typer.testing import CliRunner

import qubo_attn as qa
from qubo_attn.cli import app
from tests.support.solver_api import SolverApi


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SolverApi]:
    """The service, and a profile of the client's configuration that leads to it."""
    with SolverApi("zephyr:2", "pegasus:2") as service:
        file = tmp_path / "dwave.conf"
        file.write_text(
            f"[defaults]\nendpoint = {service.endpoint}\ntoken = {service.token}\n"
            f"cache_home = {tmp_path}\n[any]\n[small]\nsolver = Ideal_pegasus_2\n"
            "[shut]\ntoken = none\n"
        )
        monkeypatch.setenv("DWAVE_CONFIG_FILE", str(file))
        yield service


def run(*arguments: object) -> tuple[int, str]:
    outcome = CliRunner().invoke(app, ["target", "fetch", *map(str, arguments)])
    return outcome.exit_code, outcome.stdout + outcome.stderr


def test_a_graph_of_this_moment(api: SolverApi, tmp_path: Path) -> None:
    file = tmp_path / "chip.json"
    code, text = run("-o", file, "--json")
    assert code == 0, text
    facts = json.loads(text)
    assert facts["solver"] == "Ideal_zephyr_2"  # the largest
    assert (facts["qubits"], facts["couplers"]) == (160, 1224)
    assert facts["graph_id"] == api.machine().graph_id
    target = qa.Target.from_json(file)
    assert target.hash == qa.Target.zephyr(2).hash == facts["hash"]
    assert target.properties["graph_id"] == facts["graph_id"]
    with DWaveSampler(solver="Ideal_zephyr_2") as sampler:  # keeps the definition in its cache
        assert qa.Target.from_sampler(sampler).limits == target.limits
    api.machine().lose_qubit(7)
    with DWaveSampler(solver="Ideal_zephyr_2") as sampler:
        assert 7 in sampler.nodelist  # yesterday's
    code, text = run("-o", file, "--solver", "Ideal_zephyr_2")
    assert code == 0
    assert f"graph {api.machine().graph_id}, written to {file}" in text.replace("\n", "")
    today = qa.Target.from_json(file)
    assert 7 not in today.qubits
    assert today.hash == target.without([7], []).hash


def test_profiles(api: SolverApi, tmp_path: Path) -> None:
    file = tmp_path / "chip.json"
    assert run("-o", file, "--profile", "small")[0] == 0
    assert qa.Target.from_json(file).topology == "pegasus"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--solver", "Nowhere"], "Nowhere cannot be fetched by the default profile"),
        (["--profile", "shut"], "a solver cannot be fetched by profile 'shut'"),
        (["--profile", "none"], "a solver cannot be fetched by profile 'none'"),
    ],
)
def test_what_cannot_be_fetched(
    api: SolverApi, tmp_path: Path, arguments: list[str], text: str
) -> None:
    code, said = run("-o", tmp_path / "chip.json", *arguments)
    assert (code, text in said) == (6, True), said
    assert not (tmp_path / "chip.json").exists()


def test_a_machine_that_is_offline(api: SolverApi, tmp_path: Path) -> None:
    api.offline()
    code, said = run("-o", tmp_path / "chip.json", "--solver", "Ideal_zephyr_2")
    assert code == 6
    assert "Ideal_zephyr_2 cannot be fetched" in said
