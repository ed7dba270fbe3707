"""How much of the scores reaches a qubit; see `signals`, which this runs.

python benchmarks/signal.py --data DIR --target zephyr:12 --json
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from pathlib import Path

if __name__ == "__main__":
    from signals import main

    main()
else:
    # A script beside this one wants the standard module, which this file's name hides.
    file = Path(sysconfig.get_path("stdlib")) / "signal.py"
    spec = importlib.util.spec_from_file_location("signal", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["signal"] = module
    spec.loader.exec_module(module)
