"""A QUBO compiler that lowers attention to quantum-annealer problems.

``compile(scores, heads)`` turns attention scores into binary quadratic models with minor
embeddings, ready to submit, and ``CompiledAttention.decode`` turns samples back into attention
weights. Names are loaded when first used, so importing the package is quick.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
