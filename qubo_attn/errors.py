"""What can go wrong, as types.

::

    QuboAttnError
    ├── InputError          scores, values, masks, options: names the argument, head, query, key
    ├── ParseError          text of a program that does not read: line and column
    ├── VerifyError         a malformed program: names the variable or constraint
    ├── PassError           a pass that cannot run
    │   └── OrderError      passes in an order that cannot work
    ├── InfeasibleError     constraints that contradict each other: names them
    ├── PromiseError        a rewrite that broke its promise
    ├── TargetError         a working graph that does not read, or an unknown topology
    │   └── SubmissionError a submission that a machine would turn down: names qubit or coupler
    ├── EmbeddingError      no placement: says how many keys would fit
    ├── DecodeError         samples that do not belong to the submission
    ├── JobError            a job that cannot go on: names call, submission, rows and problem
    ├── WorkerError         a process of a batch that was lost: names the first item missing
    └── MissingExtraError   an optional package is not installed: says how to
"""

from __future__ import annotations


class QuboAttnError(Exception):
    """Base of every error this package raises.

    Every keyword given is kept as an attribute, so that callers need not read the message.

    Example:
        >>> error = QuboAttnError("no key left", head=2, query=0)
        >>> error.head
        2
    """

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.facts: dict[str, object] = {}
        self.add_facts(**facts)

    def add_facts(self, **facts: object) -> None:
        """Keep more facts as attributes, beside those there are."""
        self.facts.update(facts)
        for name, fact in facts.items():
            setattr(self, name, fact)


class InputError(QuboAttnError, ValueError):
    """An argument that cannot be compiled; names it and where in it the trouble is.

    Example:
        >>> import qubo_attn as qa
        >>> try:
        ...     qa.compile([[1.0, float("nan")]], 1)
        ... except qa.InputError as error:
        ...     print(error.head, error.query, error.key)
        0 0 1
    """


class ParseError(QuboAttnError, ValueError):
    """Program text that does not read; carries ``line`` and ``column`` (both from 1).

    Example:
        >>> import qubo_attn as qa
        >>> try:
        ...     qa.Program.parse("x[0,0,0] : two")
        ... except qa.ParseError as error:
        ...     print(error.line, error.column)
        1 1
    """


class VerifyError(QuboAttnError, ValueError):
    """A malformed program; carries ``code`` and ``where``.

    Example:
        >>> import qubo_attn as qa
        >>> program = qa.Program.parse("x[0,0,0] : 1")
        >>> try:
        ...     program.replace(variables=program.variables.take([0, 0])).verify()
        ... except qa.VerifyError as error:
        ...     print(error.code, error.where)
        shape objective.linear
    """


class PassError(QuboAttnError):
    """A pass that cannot run on the program it was given.

    Example:
        >>> import qubo_attn as qa
        >>> program = qa.Program.parse("w[0,0,0] in 0..3 : -2")
        >>> try:
        ...     qa.Pipeline((qa.Embed(qa.Target.zephyr(2)),)).run(program)
        ... except qa.PassError as error:
        ...     print(error)
        embed needs a program that has bits only; this one does not
    """


class OrderError(PassError):
    """Passes in an order that cannot work; the message says which to move and why.

    Example:
        >>> import qubo_attn as qa
        >>> try:
        ...     qa.Pipeline((qa.InsertPenalties(), qa.Sparsify()))
        ... except qa.OrderError as error:
        ...     print(error.needs)
        unpriced
    """


class InfeasibleError(QuboAttnError):
    """Constraints that no assignment satisfies; carries their ``labels``.

    Example:
        >>> import qubo_attn as qa
        >>> program = qa.Program.parse('''
        ... x[0,0,0] : -2
        ... x[1,0,0] : -1
        ... pick[0,0]: x[0,0,0] == 1
        ... pick[1,0]: x[1,0,0] == 0
        ... ''')
        >>> try:
        ...     qa.TieVariables(((0, 1),)).apply(program)
        ... except qa.InfeasibleError as error:
        ...     print(error.labels)
        ('pick[0,0]', 'pick[1,0]')
    """


class PromiseError(QuboAttnError):
    """A rewrite whose promise does not hold on a checked point.

    Example:
        >>> import qubo_attn as qa
        >>> program = qa.Program.parse('''
        ... x[0,0,0] : -2
        ... x[0,0,1] : -1
        ... ''')
        >>> swapped = qa.Rewrite(program, qa.Lift.select([1, 0], n_after=2))
        >>> try:
        ...     qa.validate(program, swapped)
        ... except qa.PromiseError as error:
        ...     print(error)
        energy changes by 1 at x[0,0,1]=1
    """


class TargetError(QuboAttnError, ValueError):
    """A target that cannot be read or is not known.

    Example:
        >>> import qubo_attn as qa
        >>> try:
        ...     qa.Target.of("heavy-hex:3")
        ... except qa.TargetError as error:
        ...     print(error)
        unknown target 'heavy-hex:3': expected zephyr:M, pegasus:M, all-to-all or a JSON file
    """


class SubmissionError(TargetError):
    """A submission that a machine would turn down.

    Carries ``code`` and ``submission`` and, as the case is, ``qubit``, ``coupler``, ``variable``,
    ``found`` and ``limits``.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target="zephyr:2")
        >>> try:
        ...     compiled.submissions[0].validate(reads=100_000)
        ... except qa.SubmissionError as error:
        ...     print(error.code, error.found, error.limits)
        reads 100000 (1, 10000)
    """


class EmbeddingError(QuboAttnError):
    """A problem that does not fit; carries ``requested`` and ``fits`` (keys a row may have).

    Example:
        >>> import numpy as np
        >>> import qubo_attn as qa
        >>> try:
        ...     qa.compile(np.zeros((1, 80)), 1, select=qa.ExactlyK(40), target="zephyr:1")
        ... except qa.EmbeddingError as error:
        ...     print(error.requested, error.fits)
        80 12
    """


class DecodeError(QuboAttnError, ValueError):
    """Sample sets that do not belong to the compiled submissions.

    Example:
        >>> import qubo_attn as qa
        >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
        >>> try:
        ...     compiled.decode([])
        ... except qa.DecodeError as error:
        ...     print(error)
        0 sample sets for 1 submission
    """


class WorkerError(QuboAttnError):
    """Processes that were lost while they compiled a batch.

    Carries ``item``, the first that is missing, and ``losses``, how often it was lost.

    Example:
        >>> error = WorkerError("item 3 was lost 3 times", item=3, losses=3)
        >>> error.item, error.losses
        (3, 3)
    """


class JobError(QuboAttnError):
    """A job that cannot go on until somebody acts; what it has is kept.

    Its ``code`` is ``"refused"`` (the machine turned a call down), ``"stopped"`` (the token is not
    valid, or the solver is offline) or ``"unreachable"`` (the service does not answer). Or it is
    ``"failed"`` (every try of a call failed), ``"budget"`` (it is used up), ``"busy"`` (another
    process works on the job) or ``"journal"`` (the job's files are damaged). As the case is, it
    also carries ``call``, ``submission``, ``rows`` and ``problem`` of the call, ``answers`` (how
    many are kept) and ``folder``.

    Example:
        >>> error = JobError("call 3 of 20 failed", code="failed", call=3, answers=7)
        >>> error.code, error.call, error.answers
        ('failed', 3, 7)
    """


class MissingExtraError(QuboAttnError, ImportError):
    """An optional package that is not installed; carries the ``extra`` that brings it.

    Example:
        >>> error = MissingExtraError("drawing needs qubo-attn[plot]", extra="plot")
        >>> error.extra, isinstance(error, ImportError)
        ('plot', True)
    """
