"""The most memory that this process held, as the system counts it.

Not ``tracemalloc``: it slows every allocation, and does not see what compiled kernels allocate.
"""

from __future__ import annotations

import sys

_STATUS = "/proc/self/status"
_ENOUGH = 1 << 16


def peak() -> float | None:
    """Return the most resident memory so far, in MiB; None where the system does not tell.

    Example:
        >>> from qubo_attn.common.memory import peak
        >>> peak() is None or peak() > 1
        True
    """
    try:
        # Linux's ru_maxrss would count what the parent held before this process was started.
        with open(_STATUS, "rb", buffering=0) as file:
            _, _, told = file.read(_ENOUGH).partition(b"VmHWM:")
        return int(told.split(maxsplit=1)[0]) / 1024
    except (OSError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024**2 if sys.platform == "darwin" else 1024)
