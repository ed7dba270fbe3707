"""What a fresh process loads, and what it does not wait for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import sys
import numpy as np
import qubo_attn as qa

def loaded(*names):
    return [name for name in names if name in sys.modules]

qa.compile
print(loaded("numba", "scipy", "networkx", "dimod", "minorminer", "dwave", "matplotlib"))
scores = np.random.default_rng(0).normal(size=(1, 2, 3))
compiled = qa.compile(scores, 1, select=qa.ExactlyK(1), target="zephyr:2")
print(len(compiled.hardware_arrays()[0]))
print(loaded("networkx", "dimod", "minorminer", "dwave", "scipy.sparse", "matplotlib"))
"""


def test_a_process_loads_what_it_uses(own_cache: Path) -> None:
    """Numba waits for the first kernel; a kept embedding needs no graph library."""
    environment = os.environ | {"QUBO_ATTN_CACHE": str(own_cache)}
    for _ in range(2):
        command = [sys.executable, "-c", CODE]
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[:3] == ["[]", "1", "[]"]
