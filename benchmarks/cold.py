"""README's first command in fresh processes, with every cache empty and once more with all filled.

``compile`` and ``solve`` each run in a process of their own, as a shell runs them. Seconds are the
processors', of both together; medians of ``--repeats`` rounds:

* ``cpu_seconds``: all of it, from the start of the interpreters to their ends, caches empty;
* ``import_seconds``: importing modules, qubo_attn's and all others;
* ``jit_seconds``: compiling kernels, of which there are ``kernels``; with what they call of Numba's
  own that makes ``compilations``. A table gives each kernel's seconds, what it calls left out;
* ``search_seconds``: finding packings, or reading those that ship;
* ``work_seconds``: the rest;
* ``warm_seconds``, ``warm_cpu_seconds``: both processes with caches filled, of wall time and of the
  processors'; ``warm_compiled`` counts what they compiled, which is nothing.

Python's bytecode is there from the first round on, as after an installation.

    python benchmarks/cold.py --json [--repeats 3] [--kernels 40]
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from common import finish, parser

ROOT = Path(__file__).resolve().parents[1]
COMPILE = (
    "compile fixtures/attention/minilm_d08_L1_n30.npz --keys 4 --objective output "
    "--target zephyr:12 -o OUT"
)
COMMANDS = (COMPILE, "solve OUT")
KINDS = ("import", "jit", "search")

# Runs one command and splits its time; what a section encloses of another is the other's alone.
RUN = """
import json, sys, time
from importlib import _bootstrap

class Clock:
    def __init__(self):
        self.open, self.seconds, self.last = [], {}, 0.0

    def turn(self, name):
        now = time.process_time()
        if self.open:
            self.seconds[self.open[-1]] = self.seconds.get(self.open[-1], 0.0) + now - self.last
        self.last = now
        if name is None:
            self.open.pop()
        else:
            self.open.append(name)

clock = Clock()

def timed(name, function):
    def run(*arguments, **options):
        clock.turn(name)
        try:
            return function(*arguments, **options)
        finally:
            clock.turn(None)
    return run

_bootstrap._find_and_load = timed("import", _bootstrap._find_and_load)
import numba.core.event as event

class Compilations(event.Listener):
    names = []

    def on_start(self, event):
        function = event.data["dispatcher"].py_func
        own = function.__module__.startswith("qubo_attn.")
        name = function.__module__.rpartition(".")[2] + "." + function.__qualname__
        self.names.append(name if own else "numba " + name)
        clock.turn("jit " + self.names[-1])

    def on_end(self, event):
        clock.turn(None)

event.register("numba:compile", Compilations())
from qubo_attn.embedding.cache import EmbeddingCache
EmbeddingCache.packing = timed("search", EmbeddingCache.packing)
from qubo_attn.cli import app
try:
    app()
finally:
    with open(FACTS, "w") as file:
        json.dump([clock.seconds, Compilations.names], file)
"""
PLAIN = "from qubo_attn.cli import app; app()"


def run(code: str, folder: Path) -> tuple[float, float]:
    """Run both commands; return their wall seconds and the processors'."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "QUBO_ATTN_CACHE": str(folder / "embeddings"),
        "NUMBA_CACHE_DIR": str(folder / "kernels"),
    }
    # A folder that exists is not written over without being asked to.
    shutil.rmtree(folder / "out", ignore_errors=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for place, command in enumerate(COMMANDS):
        words = command.replace("OUT", str(folder / "out")).split()
        own = code.replace("FACTS", repr(str(folder / f"{place}.json")))
        arguments = [sys.executable, "-c", own, *words]
        subprocess.run(arguments, cwd=ROOT, env=environment, check=True, capture_output=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def split(folder: Path) -> tuple[dict[str, float], list[str]]:
    """Return the seconds of each section and all that was compiled, of both commands."""
    seconds: dict[str, float] = defaultdict(float)
    names: list[str] = []
    for place in range(len(COMMANDS)):
        sections, compiled = json.loads((folder / f"{place}.json").read_text())
        names += compiled
        for name, spent in sections.items():
            seconds[name] += spent
    return seconds, names


def measured() -> tuple[dict[str, float], dict[str, float]]:
    """Return the facts of one round, and the seconds of each kernel."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _, cpu = run(RUN, folder)
        seconds, names = split(folder)
        kernels = {key[4:]: value for key, value in seconds.items() if key.startswith("jit ")}
        facts: dict[str, float] = {
            "cpu_seconds": cpu,
            "import_seconds": seconds["import"],
            "jit_seconds": sum(kernels.values()),
            "search_seconds": seconds["search"],
            "kernels": len({name for name in names if not name.startswith("numba ")}),
            "compilations": len(names),
        }
        facts["work_seconds"] = cpu - sum(facts[f"{kind}_seconds"] for kind in KINDS)
        run(RUN, folder)
        facts["warm_compiled"] = len(split(folder)[1])
        facts["warm_seconds"], facts["warm_cpu_seconds"] = run(PLAIN, folder)
    return facts, kernels


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--kernels", type=int, default=30, help="how many the table shows")
    chosen = options.parse_args()
    rounds = [measured() for _ in range(chosen.repeats)]
    facts: dict[str, Any] = {
        name: round(float(np.median([facts[name] for facts, _ in rounds])), 3)
        for name in rounds[0][0]
    }
    table = {
        name: float(np.median([kernels.get(name, 0.0) for _, kernels in rounds]))
        for name in rounds[0][1]
    }
    heaviest = sorted(table, key=lambda name: -table[name])
    for name in heaviest[: chosen.kernels]:
        print(f"{table[name]:7.2f}  {name}")
    print("  ".join(f"{name} {value}" for name, value in facts.items()))
    facts["by_kernel"] = {name: round(table[name], 3) for name in heaviest}
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
