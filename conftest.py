"""Doctests of the torch layer are collected where torch is installed."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["qubo_attn/torch/*"]
