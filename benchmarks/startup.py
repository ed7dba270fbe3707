"""The first call in a fresh process: imports, and a first compilation with warm caches.

Each of ``--repeats`` processes imports numpy, networkx and dimod, then qubo_attn with `compile`
(numba and SciPy come with it), and compiles 12 heads of 16 queries and 16 keys from a file. A
process before them fills the caches of machine code and embeddings. Medians in seconds of wall
time, and of the processor's besides, as machines do other things: ``import_beyond`` is qubo_attn
without the three, ``whole`` the process from its start to its end, interpreter included.

    python benchmarks/startup.py --data DIR --json
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import attention_files, finish, parser

CHILD = """
import json, sys, time
clocks = lambda: (time.perf_counter(), time.process_time())
marks = [clocks()]
import numpy, networkx, dimod
marks.append(clocks())
import qubo_attn as qa
qa.compile
marks.append(clocks())
with numpy.load(sys.argv[1]) as file:
    scores, values = file["scores"], file["value"]
compiled = qa.compile(scores, len(scores), objective="output", values=values)
compiled.hardware_arrays()
marks.append(clocks())
spent = numpy.diff(numpy.array(marks), axis=0)
print(json.dumps([*spent[1], *spent[2], time.process_time()]))
"""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", required=True, help="folder of attention files")
    options.add_argument("--repeats", type=int, default=5)
    chosen = options.parse_args()
    arrays = next(
        arrays for _, _, arrays in attention_files(chosen.data) if len(arrays["scores"]) == 12
    )
    columns = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "first.npz"
        np.savez(path, scores=arrays["scores"][:, :16, :16], value=arrays["value"][:, :16])
        for repeat in range(chosen.repeats + 1):
            start = time.perf_counter()
            command = [sys.executable, "-c", CHILD, str(path)]
            told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
            if repeat:
                columns.append([*json.loads(told), time.perf_counter() - start])
    names = ("import_beyond", "import_cpu", "compile", "compile_cpu", "whole_cpu", "whole")
    facts = dict(zip(names, np.median(columns, axis=0).tolist(), strict=True))
    print("  ".join(f"{name} {value:.2f} s" for name, value in facts.items()))
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
