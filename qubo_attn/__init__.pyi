from ._version import __version__ as __version__
from .backend.integer_ising import IntegerIsing as IntegerIsing
from .backend.integer_ising import integer_ising as integer_ising
from .backend.model import Vectors as Vectors
from .backend.submission import Submission as Submission
from .backend.submissions import Submissions as Submissions
from .backend.wire import SolverOrder as SolverOrder
from .batch.api import compile_batch as compile_batch
from .compiled import CompiledAttention as CompiledAttention
from .compiled import load as load
from .compiler import compile as compile
from .decoding.baselines import Beside as Beside
from .decoding.baselines import baseline as baseline
from .decoding.block_rounds import BlockRound as BlockRound
from .decoding.block_rounds import BlockRounds as BlockRounds
from .decoding.blocks import BlockSearch as BlockSearch
from .decoding.machine_use import MachineUse as MachineUse
from .decoding.optimality import Optimality as Optimality
from .decoding.proven import Rounds as Rounds
from .decoding.result import AttentionResult as AttentionResult
from .decoding.temperature import effective_temperature as effective_temperature
from .decoding.temperature import row_temperatures as row_temperatures
from .embedding.cache import EmbeddingCache as EmbeddingCache
from .embedding.graphs import PackedGraphs as PackedGraphs
from .embedding.graphs import embed_graph as embed_graph
from .embedding.graphs import pack_graphs as pack_graphs
from .errors import (
    DecodeError as DecodeError,
)
from .errors import (
    EmbeddingError as EmbeddingError,
)
from .errors import (
    InfeasibleError as InfeasibleError,
)
from .errors import (
    InputError as InputError,
)
from .errors import (
    JobError as JobError,
)
from .errors import (
    MissingExtraError as MissingExtraError,
)
from .errors import (
    OrderError as OrderError,
)
from .errors import (
    ParseError as ParseError,
)
from .errors import (
    PassError as PassError,
)
from .errors import (
    PromiseError as PromiseError,
)
from .errors import (
    QuboAttnError as QuboAttnError,
)
from .errors import (
    SubmissionError as SubmissionError,
)
from .errors import (
    TargetError as TargetError,
)
from .errors import (
    VerifyError as VerifyError,
)
from .errors import (
    WorkerError as WorkerError,
)
from .frontend.captured import CapturedAttention as CapturedAttention
from .frontend.coupling import Agreement as Agreement
from .frontend.coupling import Diversity as Diversity
from .frontend.files import read_attention as read_attention
from .frontend.graph import AttentionGraph as AttentionGraph
from .frontend.heads import Head as Head
from .frontend.objectives import (
    Boltzmann as Boltzmann,
)
from .frontend.objectives import (
    Hard as Hard,
)
from .frontend.objectives import (
    Layer as Layer,
)
from .frontend.objectives import (
    LeastSquares as LeastSquares,
)
from .frontend.objectives import (
    Output as Output,
)
from .frontend.objectives import (
    Redundancy as Redundancy,
)
from .frontend.objectives import (
    Renormalised as Renormalised,
)
from .frontend.objectives import (
    Selection as Selection,
)
from .frontend.objectives import (
    Sparsemax as Sparsemax,
)
from .frontend.plan import Plan as Plan
from .frontend.probabilities import from_attentions as from_attentions
from .frontend.qama_program import (
    QamaResult as QamaResult,
)
from .frontend.qama_program import (
    qama_decode as qama_decode,
)
from .frontend.qama_program import (
    qama_program as qama_program,
)
from .frontend.select import (
    AtMostK as AtMostK,
)
from .frontend.select import (
    Budget as Budget,
)
from .frontend.select import (
    ExactlyK as ExactlyK,
)
from .frontend.select import (
    OneHot as OneHot,
)
from .frontend.select import (
    SoftWeights as SoftWeights,
)
from .frontend.select import (
    Unconstrained as Unconstrained,
)
from .instances.api import write_instances as write_instances
from .instances.instance import Instance as Instance
from .interchange.formats import read_bqm as read_bqm
from .interchange.formats import write_bqm as write_bqm
from .ir.lift import Lift as Lift
from .ir.program import Program as Program
from .jobs.job import Job as Job
from .jobs.retry import Retry as Retry
from .jobs.start import resume as resume
from .jobs.status import CallStatus as CallStatus
from .jobs.status import JobStatus as JobStatus
from .machine.simulated import SimulatedMachine as SimulatedMachine
from .machine.target import Target as Target
from .models.calibrate import calibrate as calibrate
from .models.capture import capture as capture
from .passes import (
    BinarizeWeights as BinarizeWeights,
)
from .passes import (
    Canonicalize as Canonicalize,
)
from .passes import (
    Compress as Compress,
)
from .passes import (
    DropCouplers as DropCouplers,
)
from .passes import (
    Embed as Embed,
)
from .passes import (
    InsertPenalties as InsertPenalties,
)
from .passes import (
    KeepOneHot as KeepOneHot,
)
from .passes import (
    Quantize as Quantize,
)
from .passes import (
    Sparsify as Sparsify,
)
from .passes import (
    SplitRows as SplitRows,
)
from .passes import (
    TieVariables as TieVariables,
)
from .pipeline.pipeline import Pipeline as Pipeline
from .pipeline.promises import validate as validate
from .pipeline.rewrite import Rewrite as Rewrite
from .report.page import stages_page as stages_page
from .solving.local import LocalSolver as LocalSolver
from .solving.solution import Solution as Solution
from .trial.api import try_out as try_out
from .trial.attempt import Attempt as Attempt
from .trial.trial import Trial as Trial
