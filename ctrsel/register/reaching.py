"""Reaching a registry: what can come back by itself is told from what cannot, and tried again with growing pauses.

Reference: exponential backoff with jitter (Metcalfe and Boggs, "Ethernet", 1976, section 4.3), by tenacity.
"""

from __future__ import annotations

import errno
import random
import re
import ssl
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ctrsel.core.errors import RefusedError, UnreachableError
from ctrsel.core.log import logger

__all__ = [
    "OutOfPatienceError",
    "PatientClient",
    "absent",
    "patiently",
    "public_uri",
    "raise_told",
    "reason",
    "refused",
    "unreachable",
]

T = TypeVar("T")

_FIRST, _LONGEST = 0.25, 15.0  # seconds between two tries, at the beginning and at most

# Named and not imported: each library is there only where its kind of store is.
_PASSING = {
    "requests.exceptions.ConnectionError",
    "requests.exceptions.Timeout",
    "requests.exceptions.ChunkedEncodingError",
    "requests.exceptions.RetryError",
    "urllib3.exceptions.ProtocolError",
    "urllib3.exceptions.TimeoutError",
    "urllib3.exceptions.MaxRetryError",
    "botocore.exceptions.HTTPClientError",
    "azure.core.exceptions.ServiceRequestError",
    "azure.core.exceptions.ServiceResponseError",
    "google.api_core.exceptions.ServerError",
    "google.api_core.exceptions.TooManyRequests",
    "google.api_core.exceptions.RetryError",
    "sqlalchemy.exc.TimeoutError",
}
_SYSTEM = {errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT}
_CODES = {"TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE"}  # the last one of an alias
_REFUSED = {"PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED", "UNAUTHENTICATED"}
_EXPIRED = {"ExpiredToken", "InvalidToken"}  # S3 answers 400 to these
# What databases say; many of their errors have no class of their own.
_DATABASE = re.compile(
    r"database (table )?is locked|connection (attempt )?(refused|reset|timed out|timeout)|could not connect|can't connect|"
    r"connection (was |is |has been )?(closed|lost|terminated)|closed the connection|terminating connection|timeout expired|"
    r"starting up|shutting down|not accepting|recovery mode|too many (clients|connections)|connection slots|gone away|"
    r"lost connection|deadlock|lock (wait )?timeout|could not translate host name|name resolution|failed to resolve host",
    re.IGNORECASE,
)
# MLflow keeps of failed downloads their text only.
_DOWNLOAD = re.compile(
    r"ConnectionError|MaxRetryError|Connection(Refused|Reset|Aborted)|RemoteDisconnected|timed out|Read timed out|"
    r"\b(408|429|500|502|503|504) (Server|Client) Error|error code (408|429|500|502|503|504)\b",
)
_DENIED = re.compile(r"\b40[13] Client Error|error code 40[13]\b|\((40[13]|AccessDenied|ExpiredToken|InvalidToken)\)")
# Calls that do no harm when they are made twice, the first time with an answer that was lost.
_REPEATABLE = ("get_", "search_", "set_", "log_", "finalize_", "download_")
_ONCE = {"log_outputs"}


class OutOfPatienceError(UnreachableError):
    """A store was tried again for as long as the config says."""


def public_uri(text: str) -> str:
    """Hide user and password in addresses.

    Examples:
        >>> public_uri("postgresql://ann:secret@db/mlflow")
        'postgresql://***@db/mlflow'
    """
    return re.sub(r"(://)[^/@\s]+@", r"\1***@", text)


def absent(error: Exception) -> bool:
    """Tell whether MLflow says that what was asked for is not there, and not that it could not be asked."""
    return getattr(error, "error_code", None) in _ABSENT


def refused(error: BaseException) -> bool:
    """Tell whether the store does not let this user in, or its files do not.

    Examples:
        >>> refused(ConnectionRefusedError(111, "Connection refused")), refused(PermissionError(13, "Permission denied"))
        (False, False)
    """
    text = str(error)
    if "failures occurred while downloading" in text and _DENIED.search(text):
        return True
    return any(_refusal(e) for e in _below(error))


def unreachable(error: BaseException) -> bool:
    """Tell whether a store could not be reached or was overloaded, so that the same call may succeed later.

    So are a host name that nobody knows (names of stopped containers vanish with them) and a locked database; a bad
    certificate, a wrong password, a file that is no database are not.

    Examples:
        >>> unreachable(ConnectionRefusedError(111, "Connection refused")), unreachable(FileNotFoundError("m.db"))
        (True, False)
    """
    code = getattr(error, "error_code", None)
    if code is not None and code not in _CODES and code != "INTERNAL_ERROR":
        return False
    found = list(_below(error))
    if any(isinstance(e, ssl.SSLCertVerificationError) for e in found):
        return False
    if code in _CODES and len(found) == 1:  # said by a server
        return True
    text = str(error)
    if code == "INTERNAL_ERROR" and "failures occurred while downloading" in text and _DOWNLOAD.search(text):
        return True
    return any(_passing(e) for e in found)


def reason(error: BaseException) -> str:
    """Return the first line of what an error says, without passwords."""
    text = str(error).strip() or type(error).__name__
    return public_uri(text.split("\n", maxsplit=1)[0][:300])


def patiently(action: Callable[[], T], *, patience: float) -> T:
    """Do something, again and again while it raises `UnreachableError`, with growing and random pauses in between.

    Args:
        action: What to do; to be done twice without harm.
        patience: Seconds after its first failure for which it is tried.

    Raises:
        OutOfPatienceError: If it failed for so long.

    Examples:
        >>> answers = iter([UnreachableError("x: connection refused"), 3])
        >>> def ask():
        ...     found = next(answers)
        ...     if isinstance(found, Exception):
        ...         raise found
        ...     return found
        >>> patiently(ask, patience=5.0)
        3
    """
    import tenacity

    since: list[float] = []

    def left(state: tenacity.RetryCallState) -> float:
        now = state.outcome_timestamp or state.start_time
        since[:] = since or [now]
        return since[0] + patience - now

    def passed(state: tenacity.RetryCallState) -> bool:
        return left(state) <= 0

    def pause(state: tenacity.RetryCallState) -> float:
        longest = min(_FIRST * 2 ** (state.attempt_number - 1), _LONGEST)
        drawn: float = random.uniform(longest / 2, longest)  # seeds are for results, not for pauses
        return min(drawn, left(state) + 0.001)

    def again(error: BaseException) -> bool:
        return isinstance(error, UnreachableError) and not isinstance(error, OutOfPatienceError)

    def told(state: tenacity.RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        if state.attempt_number == 1:
            logger().warning("unreachable, tried again", extra={"facts": {"reason": str(error), "seconds": patience}})

    loop = tenacity.Retrying(
        stop=passed, wait=pause, retry=tenacity.retry_if_exception(again), before_sleep=told, reraise=True
    )
    try:
        return loop(action)
    except OutOfPatienceError:
        raise
    except UnreachableError as error:
        raise OutOfPatienceError(str(error)) from error


class PatientClient:
    """MLflow's client, which says in one sentence that its store cannot be reached, after trying what may be repeated.

    A call that makes something is not repeated by itself, since its answer may be what was lost: whoever registers looks
    first whether it is there.

    Args:
        client: MLflow's.
        uri: The store's address.
        patience: Seconds for which a call is tried again.
    """

    def __init__(self, client: Any, *, uri: str, patience: float) -> None:
        self._client = client
        self._uri = uri
        self._patience = patience

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found
        repeatable = name.startswith(_REPEATABLE) and name not in _ONCE

        def call(*args: Any, **more: Any) -> Any:
            def once() -> Any:
                try:
                    return found(*args, **more)
                except Exception as error:
                    raise_told(error, self._uri)
                    raise

            return patiently(once, patience=self._patience) if repeatable else once()

        return call


def raise_told(error: Exception, uri: str) -> None:
    """Raise what an error of a store means, if that is known: it cannot be reached, or lets nobody in.

    Raises:
        UnreachableError: If it may be reached later.
        RefusedError: If it refuses.
    """
    if unreachable(error):
        raise UnreachableError(f"{public_uri(uri)} cannot be reached: {_cause(error)}") from error
    if refused(error):
        raise RefusedError(f"register.tracking_uri: {public_uri(uri)} refuses access: {reason(error)}") from error


def _cause(error: BaseException) -> str:
    """Return in few words what lies below an error that says much."""
    found = list(_below(error))
    for e in reversed(found):
        if isinstance(e, OSError) and e.errno is not None and e.strerror:
            return e.strerror.lower()
    for e in found:
        words = re.search(r"too many \d+ error responses|[Rr]ead timed out|database is locked", str(e))
        if words is not None:
            return words[0].lower()
    return reason(error)


def _below(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that led to it."""
    waiting, seen = [error], set[int]()
    while waiting:
        now = waiting.pop()
        if id(now) in seen:
            continue
        seen.add(id(now))
        yield now
        more = (now.__cause__ or now.__context__, getattr(now, "reason", None), getattr(now, "orig", None), *now.args)
        waiting += [e for e in more if isinstance(e, BaseException)]


def _passing(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno in _SYSTEM:
        return True
    names = {f"{c.__module__}.{c.__qualname__}" for c in type(error).__mro__}
    if names & _PASSING:
        return True
    status = _status(error)
    if status is not None:
        return status in (408, 425, 429) or (status >= 500 and status not in (501, 505))
    if "sqlalchemy.exc.DBAPIError" in names:
        return bool(getattr(error, "connection_invalidated", False)) or _of_database(error)
    return False


def _of_database(error: BaseException) -> bool:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    # Connection exceptions, too few resources, an operator's intervention, deadlocks and the like (PostgreSQL, appendix A).
    if isinstance(state, str) and state.startswith(("08", "53", "57P", "40")):
        return True
    return _DATABASE.search(str(getattr(error, "orig", error))) is not None


def _refusal(error: BaseException) -> bool:
    if getattr(error, "error_code", None) in _REFUSED or (_status(error) or _answered(error)) in (401, 403):
        return True
    response = getattr(error, "response", None)
    return isinstance(response, dict) and response.get("Error", {}).get("Code") in _EXPIRED


def _answered(error: BaseException) -> int | None:
    """Return the HTTP status of an answer that a gateway gave in JSON of its own: MLflow's error keeps its body only."""
    step = error.__traceback__ if hasattr(error, "json") else None
    while step is not None:
        if step.tb_frame.f_code.co_name == "verify_rest_response":
            found = getattr(step.tb_frame.f_locals.get("response"), "status_code", None)
            return found if isinstance(found, int) else None
        step = step.tb_next
    return None


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an error carries: those of requests, botocore and Azure."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(response, "status_code", None) or getattr(error, "status_code", None)
    return found if isinstance(found, int) else None
