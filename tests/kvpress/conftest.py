"""kvpress is imported once, quietly: what it imports warns of its own matters."""

from __future__ import annotations

import importlib.util
import warnings

if importlib.util.find_spec("kvpress") is not None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import kvpress  # noqa: F401
