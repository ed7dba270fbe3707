"""Doctests of layers that need a package are collected where it is installed."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [
    f"qubo_attn/{name}/*" for name in ("kvpress", "torch") if not importlib.util.find_spec(name)
]
