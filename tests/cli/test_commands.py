"""What every command promises: help, completion, exit codes, JSON; and the smaller commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import qubo_attn as qa
from qubo_attn.cli import app, console
from qubo_attn.common.compiling import compilations
from tests.conftest import ROOT

FILE = str(ROOT / "fixtures" / "attention" / "minilm_d02_L1_n10.npz")
COMMANDS = [
    (), ("compile",), ("solve",), ("inspect",), ("draw",), ("report",), ("bench",), ("passes",),
    ("try",), ("warm",), ("instances",), ("submit",), ("job",), ("job", "status"), ("job", "wait"),
    ("job", "resume"), ("job", "cancel"), ("job", "decode"), ("cache",), ("cache", "ls"),
    ("cache", "verify"),
    ("cache", "clear"), ("cache", "export"), ("cache", "import"), ("cache", "warm"),
    ("target",), ("target", "fetch"),
]  # fmt: skip


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


def test_the_list_above_is_complete() -> None:
    command = typer.main.get_command(app)
    found: list[tuple[str, ...]] = [()]
    for name, entry in command.commands.items():
        found += [(name,), *((name, inner) for inner in getattr(entry, "commands", {}))]
    assert sorted(found) == sorted(COMMANDS)


def test_help_is_there_and_loads_nothing_heavy() -> None:
    """One process for all: what the first had loaded, the last would still have."""
    code = (
        "import json, sys\n"
        "from typer.testing import CliRunner\n"
        "from qubo_attn.cli import app\n"
        "heavy = {'numpy', 'dimod', 'numba', 'networkx', 'scipy', 'rich.console'}\n"
        "before = heavy & set(sys.modules)\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    result = CliRunner().invoke(app, [*command, '--help'])\n"
        "    assert result.exit_code == 0 and 'Usage' in result.output, command\n"
        "print(sorted(before | heavy & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, json.dumps(COMMANDS)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_emitted(shell: str) -> None:
    result = CliRunner().invoke(
        app, [], prog_name="qubo-attn", env={"_QUBO_ATTN_COMPLETE": f"source_{shell}"}
    )
    assert result.exit_code == 0
    assert f"complete_{shell}" in result.output
    assert "qubo-attn" in result.output


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("qubo-attn co", {"compile"}),
        ("qubo-attn compile a.npy --objective o", {"output"}),
        ("qubo-attn compile a.npy --target zephyr:", {"zephyr:12", "zephyr:6"}),
        ("qubo-attn compile a.npy --chain-strength t", {"torque"}),
        ("qubo-attn solve out --decoder r", {"renormalise", "residual"}),
    ],
)
def test_completion_knows_the_words(typed: str, expected: set[str]) -> None:
    parts = typed.split(" ")
    result = CliRunner().invoke(
        app,
        [],
        prog_name="qubo-attn",
        env={
            "_QUBO_ATTN_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(parts) - 1),
        },
    )
    assert expected == set(result.output.split())


def test_every_error_has_a_code_and_it_is_documented() -> None:
    kinds = [getattr(qa, name) for name in qa.__all__ if name.endswith("Error")]
    codes = {kind.__name__: console.exit_code(kind("x")) for kind in kinds}
    assert codes == {
        "DecodeError": 9,
        "EmbeddingError": 5,
        "InfeasibleError": 4,
        "InputError": 3,
        "JobError": 12,
        "MissingExtraError": 10,
        "OrderError": 7,
        "ParseError": 3,
        "PassError": 7,
        "PromiseError": 8,
        "QuboAttnError": 1,
        "SubmissionError": 6,
        "TargetError": 6,
        "VerifyError": 8,
        "WorkerError": 1,
    }
    assert console.exit_code(FileNotFoundError()) == 3
    assert console.exit_code(RuntimeError()) == 1
    page = (ROOT / "docs" / "commands.md").read_text()
    rows = [line for line in str(console.__doc__).splitlines() if line.startswith("| ")][1:]
    for row in rows:
        assert row.replace("``", "`") in page


def test_contradicting_wishes_exit_four(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    required = np.zeros((1, 3), bool)
    required[0, 1] = True
    np.savez(file, scores=np.eye(3)[None, :1], required=required, forbidden=~required)
    passes = ("--passes", "canonicalize, default", "--keys", "2", "--target", "none")
    text = run("compile", str(file), *passes, "-o", str(tmp_path / "out"), code=4)
    assert "error: " in text


def test_selects_reach_the_compiler(tmp_path: Path) -> None:
    for options, expected in (
        ((), qa.ExactlyK(8)),
        (("--keys", "3"), qa.ExactlyK(3)),
        (("--select", "at-most", "--keys", "3"), qa.AtMostK(3)),
        (("--select", "one-hot"), qa.OneHot()),
        (("--select", "unconstrained"), qa.Unconstrained()),
        (("--select", "soft", "--objective", "sparsemax"), qa.SoftWeights(3)),
        (("--levels", "2", "--objective", "output", "--keys", "3"), qa.SoftWeights(2, k=3)),
        (("--select", "soft", "--objective", "output"), qa.SoftWeights(3, k=8)),
    ):
        out = str(tmp_path / "out")
        run("compile", FILE, *options, "--target", "none", "-o", out, "--force", "--json")
        assert set(qa.load(out).recipe.selects) == {expected}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("commands") / "out")
    options = ("--keys", "3", "--target", "zephyr:4", "--longest-chain", "5")
    facts = json.loads(run("compile", FILE, *options, "-o", folder, "--json"))
    assert facts["folder"] == folder
    assert max(map(int, facts["chains"])) <= 5
    return folder


def test_programs_are_printed(compiled: str) -> None:
    text = run("inspect", compiled, "--stage", "insert-penalties")
    loaded = qa.load(compiled)
    assert text == loaded.stages[2].program.text()
    facts = json.loads(run("inspect", compiled, "--stage", "sparsify", "--json"))
    assert facts["spec"] == "sparsify{slots=16}"
    qa.Program.parse(facts["text"]).verify()
    assert "did you mean 'sparsify'?" in run("inspect", compiled, "--stage", "sparsfy", code=3)
    assert "there is no folder absent" in run("inspect", "absent", code=3)


@pytest.mark.parametrize("target", ["zephyr:4", "none"])
def test_bench(target: str) -> None:
    options = ("--keys", "3", "--target", target, "--repeats", "1", "--reads", "10")
    facts = json.loads(run("bench", FILE, *options, "--json"))
    assert facts["rows"] == 120
    steps = ["first", "compile", "rebind"]
    assert list(facts["ms"]) == steps + ([] if target == "none" else ["arrays", "wire", "unembed"])
    assert all(value > 0 for value in (*facts["ms"].values(), *facts["ratios"].values()))
    assert "compile over rebind: " in run("bench", FILE, *options)


def test_version() -> None:
    assert run("--version").strip() == f"qubo-attn {qa.__version__}"


def test_json_holds_no_numbers_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    console.tell(True, {"a": [float("nan"), (float("inf"), 1.5)]}, "")
    assert json.loads(capsys.readouterr().out) == {"a": [None, [None, 1.5]]}


def test_warm_leaves_nothing_to_compile(compiled: str) -> None:
    run("warm")
    before = compilations.finished
    assert json.loads(run("warm", "--json"))["kernels"] == before
    run("solve", compiled)
    assert compilations.finished == before


def test_no_progress_bar_where_no_terminal_is(compiled: str) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "qubo_attn.cli", "solve", compiled, "--json"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert result.stderr == ""
    assert json.loads(result.stdout)["feasible"] == 1


def test_help_shows_examples_and_defaults() -> None:
    for command in COMMANDS[:9]:
        text = run(*command, "--help")
        assert "Examples:\n    qubo-attn" in text
        assert "if unset" not in text
        assert "..." not in text.replace("[ARGS]...", "")
        assert max(map(len, text.splitlines())) <= 80
    assert "[default: output where the file holds" in " ".join(run("compile", "--help").split())


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_folds_between_words_and_a_pipe_never(
    compiled: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [
        ("inspect", compiled), ("inspect", compiled, "--stage", "sparsify"), ("solve", compiled),
        ("solve", compiled, "-v"), ("passes",), ("submit", compiled, "--job", "x", "--dry-run"),
        ("try", FILE, "--keys", "3", "--target", "zephyr:6"),
    ]  # fmt: skip
    whole = {command: run(*command) for command in commands}
    for module in ("console", "trial"):
        monkeypatch.setattr(f"qubo_attn.cli.{module}.width", lambda *stream: columns)
    for command, text in whole.items():
        folded = run(*command)
        assert max(map(len, folded.splitlines())) <= columns
        words = set(folded.split())
        assert words <= set(text.split())  # no word is cut
    assert ("peak MiB" in run("inspect", compiled)) == (columns == 120)
    assert "variables" in run("inspect", compiled)


def test_an_existing_folder_is_asked_for(compiled: str, tmp_path: Path) -> None:
    options = ("--keys", "3", "--target", "none", "-o", str(tmp_path))
    run("compile", FILE, *options)  # an empty folder holds nothing to lose
    before = (tmp_path / "artifact.json").read_bytes()
    assert "--force replaces what it holds" in run("compile", FILE, *options, code=3)
    assert (tmp_path / "artifact.json").read_bytes() == before
    run("compile", FILE, *options, "--force", "--select", "at-most")
    assert qa.load(tmp_path).recipe.selects[0] == qa.AtMostK(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("solve", "nope"), "there is no folder nope; name a folder that compile wrote"),
        (("solve", FILE), "is a file; name a folder that compile wrote"),
        (("solve", "OUT", "-o", "x.csv"), "writes .npz files, not .csv ones; name it x.npz"),
        (("solve", "OUT", "--machine", "moon"), "unknown --machine 'moon'; one of simulated"),
        (("report", "OUT", "-o", "x.pdf"), "writes .html files, not .pdf ones; name it x.html"),
        (("cache", "export", "x.tar"), "writes .zip files, not .tar ones; name it x.zip"),
        (("target", "fetch", "-o", "x.txt"), "writes .json files, not .txt ones; name it x.json"),
    ],
)
def test_messages_say_what_to_do(
    compiled: str, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    text = run(*(compiled if word == "OUT" else word for word in arguments), code=3)
    assert message in text


def test_embeddings_are_kept_where_asked(tmp_path: Path) -> None:
    kept, out = tmp_path / "kept", str(tmp_path / "out")
    options = ("--keys", "3", "--target", "zephyr:3", "--cache", str(kept))
    run("compile", FILE, *options, "-o", out)
    assert "1 embedding" in run("cache", "ls", "--folder", str(kept))
    assert qa.load(out).report().target == "zephyr 3 (336 qubits, 2808 couplers)"
