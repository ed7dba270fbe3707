"""The first call in a fresh process: imports, and a first compilation with warm caches.

Medians over ``--repeats`` processes of each of three kinds, in turn, in seconds of wall time and,
with ``_cpu``, of the processor's, as machines do other things:

* ``import_beyond``: ``import qubo_attn`` with `compile`, in a process that has numpy, networkx and
  dimod already. Numba and SciPy are not among it: they come with the first kernel that is called.
* ``whole``: a process from its start to its end, interpreter included, that imports numpy and
  qubo_attn, reads 12 heads of 16 queries and 16 keys, values included, from a file, compiles
  them with ``output`` for Zephyr 12 and fills the physical arrays; ``compile`` is that compilation.
* ``command``: ``qubo-attn compile`` of the same file, which also writes the folder and a report.

A round before them fills the caches of machine code, embeddings and, in a folder of this run, of
Python's bytecode, which an installation has.

    python benchmarks/startup.py --data DIR --json
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import attention_files, finish, parser

IMPORT = """
import json, time
import numpy, networkx, dimod
start = time.perf_counter(), time.process_time()
import qubo_attn as qa
qa.compile
print(json.dumps([time.perf_counter() - start[0], time.process_time() - start[1]]))
"""
SCRIPT = """
import json, sys, time
import numpy
import qubo_attn as qa
with numpy.load(sys.argv[1]) as file:
    scores, values = file["scores"], file["value"]
start = time.perf_counter(), time.process_time()
compiled = qa.compile(scores, len(scores), objective="output", values=values)
compiled.hardware_arrays()
print(json.dumps([time.perf_counter() - start[0], time.process_time() - start[1]]))
"""
COMMAND = "from qubo_attn.cli import app; app()"


def run(arguments: list[str], environment: dict[str, str]) -> tuple[list[float], str]:
    """Run Python; return wall and processor seconds of the whole process, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [sys.executable, *arguments]
    told = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [wall, cpu], told.stdout


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--repeats", type=int, default=5)
    chosen = options.parse_args()
    arrays = next(
        arrays for _, _, arrays in attention_files(chosen.data) if len(arrays["scores"]) == 12
    )
    names = ("import_beyond", "compile", "whole", "command")
    columns = []
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "first.npz", str(Path(folder) / "compiled")
        np.savez(path, scores=arrays["scores"][:, :16, :16], value=arrays["value"][:, :16])
        environment = os.environ | {"PYTHONPYCACHEPREFIX": str(Path(folder) / "bytecode")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        order = ["compile", str(path), "--objective", "output", "--out", out, "--json"]
        for repeat in range(chosen.repeats + 1):
            _, imported = run(["-c", IMPORT], environment)
            whole, compiled = run(["-c", SCRIPT, str(path)], environment)
            command, _ = run(["-c", COMMAND, *order], environment)
            if repeat:
                columns.append([*json.loads(imported), *json.loads(compiled), *whole, *command])
    medians = np.median(columns, axis=0).reshape(-1, 2)
    facts: dict[str, float] = {}
    for name, (wall, cpu) in zip(names, medians.tolist(), strict=True):
        facts |= {name: wall, f"{name.split('_')[0]}_cpu": cpu}
        print(f"{name} {wall:.2f} s, of the processor {cpu:.2f} s")
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
