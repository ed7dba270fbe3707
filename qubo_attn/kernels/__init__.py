"""Arithmetic: plain functions over arrays, compiled by Numba. Passes decide, kernels compute.

Names are loaded when first used: Numba takes longer to import than all else together, and most
compilations call a few kernels.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
