"""A QUBO compiler that lowers attention to quantum-annealer problems.

``compile(scores, heads)`` turns attention scores into binary quadratic models with minor
embeddings, ready to submit, and ``CompiledAttention.decode`` turns samples back into attention
weights. Names are loaded when first used, so importing the package is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from qubo_attn._version import __version__

if TYPE_CHECKING:
    from qubo_attn.artifact import CompiledAttention, load
    from qubo_attn.attention import Head
    from qubo_attn.attentions import from_attentions
    from qubo_attn.batches import compile_batch
    from qubo_attn.compiler import compile
    from qubo_attn.coupling import Agreement, Diversity
    from qubo_attn.decode import AttentionResult
    from qubo_attn.embedding.cache import EmbeddingCache
    from qubo_attn.errors import (
        DecodeError,
        EmbeddingError,
        InfeasibleError,
        InputError,
        MissingExtraError,
        OrderError,
        ParseError,
        PassError,
        PromiseError,
        QuboAttnError,
        SubmissionError,
        TargetError,
        VerifyError,
        WorkerError,
    )
    from qubo_attn.integers import IntegerIsing, integer_ising
    from qubo_attn.interchange import read_bqm, write_bqm
    from qubo_attn.ir import Program
    from qubo_attn.laws import validate
    from qubo_attn.lift import Lift
    from qubo_attn.objectives import (
        Boltzmann,
        Hard,
        LeastSquares,
        Output,
        Redundancy,
        Selection,
        Sparsemax,
    )
    from qubo_attn.page import stages_page
    from qubo_attn.passes import (
        BinarizeWeights,
        Canonicalize,
        Compress,
        DropCouplers,
        Embed,
        InsertPenalties,
        Quantize,
        Sparsify,
        TieVariables,
    )
    from qubo_attn.pipeline import Pipeline
    from qubo_attn.qama_lowering import QamaResult, qama_decode, qama_program
    from qubo_attn.readers import read_attention
    from qubo_attn.rewrite import Rewrite
    from qubo_attn.select import AtMostK, Budget, ExactlyK, OneHot, SoftWeights, Unconstrained
    from qubo_attn.submission import Submission
    from qubo_attn.submissions import Submissions, Vectors
    from qubo_attn.target import Target
    from qubo_attn.temperature import effective_temperature
    from qubo_attn.wire import SolverOrder

_HOMES = {
    "artifact": ("CompiledAttention", "load"),
    "attention": ("Head",),
    "attentions": ("from_attentions",),
    "batches": ("compile_batch",),
    "compiler": ("compile",),
    "coupling": ("Agreement", "Diversity"),
    "decode": ("AttentionResult",),
    "embedding.cache": ("EmbeddingCache",),
    "errors": (
        "DecodeError",
        "EmbeddingError",
        "InfeasibleError",
        "InputError",
        "MissingExtraError",
        "OrderError",
        "ParseError",
        "PassError",
        "PromiseError",
        "QuboAttnError",
        "SubmissionError",
        "TargetError",
        "VerifyError",
        "WorkerError",
    ),
    "integers": ("IntegerIsing", "integer_ising"),
    "interchange": ("read_bqm", "write_bqm"),
    "ir": ("Program",),
    "laws": ("validate",),
    "lift": ("Lift",),
    "objectives": (
        "Boltzmann",
        "Hard",
        "LeastSquares",
        "Output",
        "Redundancy",
        "Selection",
        "Sparsemax",
    ),
    "page": ("stages_page",),
    "passes": (
        "BinarizeWeights",
        "Canonicalize",
        "Compress",
        "DropCouplers",
        "Embed",
        "InsertPenalties",
        "Quantize",
        "Sparsify",
        "TieVariables",
    ),
    "pipeline": ("Pipeline",),
    "qama_lowering": ("QamaResult", "qama_decode", "qama_program"),
    "readers": ("read_attention",),
    "rewrite": ("Rewrite",),
    "select": ("AtMostK", "Budget", "ExactlyK", "OneHot", "SoftWeights", "Unconstrained"),
    "submission": ("Submission",),
    "submissions": ("Submissions", "Vectors"),
    "target": ("Target",),
    "temperature": ("effective_temperature",),
    "wire": ("SolverOrder",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Agreement",
    "AtMostK",
    "AttentionResult",
    "BinarizeWeights",
    "Boltzmann",
    "Budget",
    "Canonicalize",
    "CompiledAttention",
    "Compress",
    "DecodeError",
    "Diversity",
    "DropCouplers",
    "Embed",
    "EmbeddingCache",
    "EmbeddingError",
    "ExactlyK",
    "Hard",
    "Head",
    "InfeasibleError",
    "InputError",
    "InsertPenalties",
    "IntegerIsing",
    "LeastSquares",
    "Lift",
    "MissingExtraError",
    "OneHot",
    "OrderError",
    "Output",
    "ParseError",
    "PassError",
    "Pipeline",
    "Program",
    "PromiseError",
    "QamaResult",
    "Quantize",
    "QuboAttnError",
    "Redundancy",
    "Rewrite",
    "Selection",
    "SoftWeights",
    "SolverOrder",
    "Sparsemax",
    "Sparsify",
    "Submission",
    "SubmissionError",
    "Submissions",
    "Target",
    "TargetError",
    "TieVariables",
    "Unconstrained",
    "Vectors",
    "VerifyError",
    "WorkerError",
    "__version__",
    "compile",
    "compile_batch",
    "effective_temperature",
    "from_attentions",
    "integer_ising",
    "load",
    "qama_decode",
    "qama_program",
    "read_attention",
    "read_bqm",
    "stages_page",
    "validate",
    "write_bqm",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'qubo_attn' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"qubo_attn.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
