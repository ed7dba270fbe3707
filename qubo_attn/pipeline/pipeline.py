"""Passes in an order that can work, and a snapshot of the program after each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

from qubo_attn.common import memory
from qubo_attn.common.brief import folding
from qubo_attn.common.checks import flag, several, shown
from qubo_attn.common.frozen import Portable
from qubo_attn.common.keywords import named_fields
from qubo_attn.errors import InputError, OrderError, PassError, QuboAttnError
from qubo_attn.ir.lift import Lift
from qubo_attn.ir.program import Program
from qubo_attn.ir.verify import verify, verify_terms
from qubo_attn.pipeline.promises import validate
from qubo_attn.pipeline.rewrite import Rewrite


@dataclass(frozen=True)
class Fact:
    """Something a pass needs or ensures.

    Attributes:
        name: what it is called in messages.
        meaning: one clause that completes "the program ...".
        holds: reads it off a program; None where only the history of passes tells.
    """

    name: str
    meaning: str
    holds: Callable[[Program], bool] | None = None


BINARY = Fact("binary", "has bits only", lambda program: program.is_binary)
UNPRICED = Fact(
    "unpriced", "has no priced constraint", lambda program: not program.constraints.priced.any()
)
PRICED = Fact("priced", "has every constraint priced", lambda program: program.is_unconstrained)
WHOLE_ROWS = Fact("whole-rows", "still has every key of every row")
OWN_ENERGIES = Fact("own-energies", "still has the objective's own energies")

_AT_THE_START = frozenset({UNPRICED, WHOLE_ROWS, OWN_ENERGIES})


@runtime_checkable
class Pass(Protocol):
    """A change of variables with a promise; a frozen dataclass whose fields are its options.

    Attributes:
        name: kebab-case, the same word as its file and class.
        needs: facts that must hold before it.
        ensures: facts that hold after it.
        breaks: facts that may no longer hold after it.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[Fact]]
    ensures: ClassVar[frozenset[Fact]]
    breaks: ClassVar[frozenset[Fact]]

    def apply(self, program: Program) -> Rewrite:
        """Return the rewritten program with the way back; ``program`` is not changed."""
        ...


def is_pass(value: object) -> bool:
    """Return whether ``value`` is a pass; ``isinstance`` by the protocol takes far longer."""
    members = ("name", "needs", "ensures", "breaks", "apply")
    return not isinstance(value, type) and all(hasattr(value, name) for name in members)


def spec(pass_: Pass) -> str:
    """Return the pass with the options that differ from their defaults.

    Example:
        >>> from qubo_attn import Sparsify
        >>> from qubo_attn.pipeline.pipeline import spec
        >>> spec(Sparsify(slots=12))
        'sparsify{slots=12}'
    """
    if not is_dataclass(pass_):
        return pass_.name
    options: list[str] = []
    for field in fields(pass_):
        value = getattr(pass_, field.name)
        if field.repr and value != field.default:
            options.append(f"{field.name}={value}")
    return f"{pass_.name}{{{', '.join(options)}}}" if options else pass_.name


@dataclass(frozen=True, eq=False)
class Stage(Portable):
    """A snapshot: one pass, what it made of the program, and how long it took.

    Attributes:
        name: of the pass, or of the objective for the first stage.
        spec: the name with its options.
        rewrite: the program after it, the lift back over it, bound, margin and notes.
        seconds: wall time of the pass, verification excluded.
        peak: most memory that the process had held when the pass was done, in MiB: it rises where
            a stage takes more than all before it; None where the system does not tell.
    """

    name: str
    spec: str
    rewrite: Rewrite
    seconds: float
    peak: float | None = None

    @property
    def program(self) -> Program:
        """The program after this stage."""
        return self.rewrite.program

    @property
    def lift(self) -> Lift:
        """The way back from this stage to the one before."""
        return self.rewrite.lift

    @cached_property
    def text(self) -> str:
        """The program after this stage, as text."""
        return str(self.program)

    @property
    def counts(self) -> dict[str, int]:
        """Variables, couplers, constraints and priced constraints after this stage.

        Couplers are counted by `Quadratic.coupler_count`: none is worked out for this.
        """
        constraints = self.program.constraints
        return {
            "variables": len(self.program),
            "couplers": self.program.objective.coupler_count,
            "constraints": len(constraints),
            "priced": int(constraints.priced.sum()),
        }

    def __str__(self) -> str:
        return f"{self.spec}\n{self.rewrite}"

    def _repr_html_(self) -> str:
        return folding(str(self))


BeforeHook = Callable[[Pass, Program], None]
AfterHook = Callable[[Stage], None]


def hooks(name: str, functions: object) -> tuple[Any, ...]:
    """Return hooks, or say that they must be functions.

    Raises:
        InputError: one is none; ``argument`` is ``name``.
    """
    checked = several(name, functions)
    for function in checked:
        if not callable(function):
            raise InputError(f"{name} holds {shown(function)}, no function", argument=name)
    return checked


@named_fields
@dataclass(frozen=True)
class Pipeline:
    """Passes in order; the order is checked when the pipeline is built.

    Attributes:
        passes: run first to last.
        before: hooks called with the pass and its input.
        after: hooks called with the finished stage.
        verify_each: check every rewrite against its promise (slow; for debugging and tests).

    Raises:
        OrderError: the order cannot work; says which pass to move and why.
        PassError, InputError: what is given is no pass, or no hook.

    Example:
        >>> from qubo_attn import InsertPenalties, Pipeline, Sparsify
        >>> Pipeline((InsertPenalties(), Sparsify()))
        Traceback (most recent call last):
        qubo_attn.errors.OrderError: sparsify needs a program that has no priced constraint, and \
insert-penalties before it takes that away: put sparsify before insert-penalties
    """

    passes: tuple[Pass, ...]
    before: tuple[BeforeHook, ...] = ()
    after: tuple[AfterHook, ...] = ()
    verify_each: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "passes", several("passes", self.passes))
        for step in self.passes:
            if not is_pass(step):
                raise PassError(f"passes holds {shown(step)}, which is no pass")
        for name in ("before", "after"):
            object.__setattr__(self, name, hooks(name, getattr(self, name)))
        object.__setattr__(self, "verify_each", flag("verify_each", self.verify_each))
        _check_order(self.passes)

    def run(self, program: Program, known: Mapping[str, object] | None = None) -> list[Stage]:
        """Apply the passes; return one stage for each.

        Args:
            program: what the first pass gets.
            known: what passes need not work out again, by the name of the pass: the first of that
                name gets it as the second argument of ``apply``.

        Raises:
            PassError: a pass cannot run on the program it is given.
            PromiseError: with ``verify_each``, a pass broke its promise.
        """
        stages: list[Stage] = []
        known = dict(known or {})
        verify(program.variables, program.objective, program.constraints, late=True)
        for pass_ in self.passes:
            _check_needs(pass_, program)
            for hook in self.before:
                hook(pass_, program)
            try:
                stage = self._step(pass_, program, known)
            except QuboAttnError as error:
                error.add_note(f"in pass {spec(pass_)}")
                raise
            for after_hook in self.after:
                after_hook(stage)
            stages.append(stage)
            after = stage.program
            if program.objective.is_late and not after.objective.is_late:
                # Couplers that no check has seen so far.
                verify_terms(after.variables, after.objective)
            program = stage.program
        return stages

    def _step(self, pass_: Pass, program: Program, known: dict[str, object]) -> Stage:
        start = time.perf_counter()
        more = (known.pop(pass_.name),) if pass_.name in known else ()
        rewrite = cast(Callable[..., Rewrite], pass_.apply)(program, *more)
        seconds, most = time.perf_counter() - start, memory.peak()
        var = rewrite.program.constraints.var
        if len(var) and (var.min() < 0 or var.max() >= len(rewrite.program)):
            rewrite.program.verify()  # kernels take indices as they are
        if self.verify_each:
            validate(program, rewrite)
        return Stage(pass_.name, spec(pass_), rewrite, seconds, most)


def _check_order(passes: Iterable[Pass]) -> None:
    """Reject an order in which a need was taken away before, or comes only after."""
    passes = tuple(passes)
    held, taken = set(_AT_THE_START), dict[Fact, Pass]()
    for place, pass_ in enumerate(passes):
        for fact in sorted(pass_.needs, key=lambda fact: fact.name):
            if fact in taken:
                thief = taken[fact]
                raise OrderError(
                    f"{pass_.name} needs a program that {fact.meaning}, and {thief.name} before "
                    f"it takes that away: put {pass_.name} before {thief.name}",
                    needs=fact.name,
                )
            later = [other for other in passes[place + 1 :] if fact in other.ensures]
            if fact not in held and later:
                raise OrderError(
                    f"{pass_.name} needs a program that {fact.meaning}, which {later[0].name} "
                    f"after it ensures: put {pass_.name} after {later[0].name}",
                    needs=fact.name,
                )
        held = (held - pass_.breaks) | pass_.ensures
        taken |= dict.fromkeys(pass_.breaks, pass_)
        for fact in pass_.ensures:
            taken.pop(fact, None)


def _check_needs(pass_: Pass, program: Program) -> None:
    for fact in sorted(pass_.needs, key=lambda fact: fact.name):
        if fact.holds is not None and not fact.holds(program):
            raise PassError(
                f"{pass_.name} needs a program that {fact.meaning}; this one does not",
                needs=fact.name,
            )
