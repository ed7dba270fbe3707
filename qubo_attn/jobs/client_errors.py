"""What the D-Wave client raises, sorted by what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from qubo_attn.jobs.transport import Refused, Retryable, Stopped, TransportError

# Errors of the service that pass: a time-out, too many requests.
PASSING = (408, 429)

Found = TypeVar("Found")


def ask(
    name: str,
    what: Callable[[], Found],
    *,
    posts: bool = False,
    besides: type[Exception] | None = None,
) -> Found:
    """Return what a service says, or raise what can be done about it.

    Args:
        name: of the solver, for messages.
        what: one request.
        posts: whether it may have been carried out although no answer came.
        besides: an error that the caller reads itself.

    Raises:
        TransportError: the request failed.
    """
    from dwave.cloud.api.exceptions import RequestError
    from dwave.cloud.exceptions import SolverError
    from requests.exceptions import RequestException

    try:
        return what()
    except (RequestException, SolverError, OSError, ValueError) as error:
        if besides is not None and isinstance(error, besides):
            raise
        cause = error.__cause__ if isinstance(error, SolverError) else error
        code = cause.error_code if isinstance(cause, RequestError) else None
        raise _sorted(name, cause or error, None if code is None else int(code), posts) from error


def _sorted(name: str, error: BaseException, code: int | None, posts: bool) -> TransportError:
    """Return an error by what can be done about it.

    Args:
        name: of the solver.
        error: what the client raised.
        code: the service's; None where what answers is not the service, or nothing answers.
        posts: whether the request may have been carried out.
    """
    text = f"{name}: {str(error) or type(error).__name__}"
    if code is None or code >= 500 or code in PASSING:
        # Too many requests: nothing was looked at.
        return Retryable(text, retry_after=_wait_of(error), unclear=posts and code != 429)
    if code in (401, 403):
        return Stopped(f"{text}: the token does not open it; renew the token")
    return Refused(text) if posts else Retryable(text)


def _wait_of(error: BaseException) -> float | None:
    """Return the seconds that a service asks to wait; None where it does not say."""
    response = getattr(error, "response", None)
    text = "" if response is None else response.headers.get("Retry-After", "")
    try:
        return max(float(text), 0.0)
    except ValueError:
        return None  # nothing, or a date
