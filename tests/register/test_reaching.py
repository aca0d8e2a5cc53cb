from __future__ import annotations

import errno
import socket
import ssl
import time

import pytest
import requests
import sqlalchemy
from mlflow.exceptions import MlflowException, RestException

from ctrsel.core.config import RegisterConfig
from ctrsel.core.errors import ConfigError, UnreachableError
from ctrsel.register import find_registration, reaching
from ctrsel.register.reaching import OutOfPatienceError, PatientClient, absent, patiently, refused, unreachable
from ctrsel.register.store import Store, quiet_mlflow
from ctrsel.testing.runs import tiny_run


def caught(action):
    with pytest.raises(Exception) as found:  # noqa: PT011  # whatever it is, it is looked at
        action()
    return found.value


@pytest.fixture
def run(table, net):
    return tiny_run(table, net)


@pytest.fixture
def closed():
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{probe.getsockname()[1]}"  # held, so that nobody else is given the port meanwhile


def answered(status, text=""):
    response = requests.Response()
    response.status_code, response._content = status, text.encode()
    return requests.HTTPError("no", response=response)


def of_sqlite(text):
    import sqlite3

    return sqlalchemy.exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError(text))


SAID = [
    (ConnectionResetError(errno.ECONNRESET, "reset"), True),
    (TimeoutError("slow"), True),
    (OSError(errno.EHOSTUNREACH, "no route"), True),
    (PermissionError(errno.EACCES, "no"), False),
    (FileNotFoundError(errno.ENOENT, "no"), False),
    (OSError(errno.ENOSPC, "full"), False),
    (ssl.SSLCertVerificationError("bad certificate"), False),
    (requests.exceptions.ReadTimeout("slow"), True),
    (requests.exceptions.InvalidURL("http//x"), False),
    *[(answered(s), True) for s in (408, 429, 500, 502, 503, 504)],
    *[(answered(s), False) for s in (400, 401, 403, 404, 409, 413, 501)],
    (of_sqlite("database is locked"), True),
    (of_sqlite("unable to open database file"), False),
    (of_sqlite("attempt to write a readonly database"), False),
    (MlflowException("not there", 1000), False),
    (RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "x"}), True),
    (RestException({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "x"}), True),
    (RestException({"error_code": "PERMISSION_DENIED", "message": "x"}), False),
    (RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "x"}), False),
    (MlflowException("The following failures occurred while downloading one or more: ConnectionError(...)"), True),
    (MlflowException("The following failures occurred while downloading one or more: 404 Client Error"), False),
    (ValueError("a defect"), False),
]


@pytest.mark.parametrize(("error", "passing"), SAID, ids=[f"{type(e).__name__} {e}"[:60] for e, _ in SAID])
def test_what_can_come_back_by_itself(error, passing):
    assert unreachable(error) == passing


def test_what_mlflow_makes_of_a_failure_is_looked_through(closed):
    from mlflow import MlflowClient

    address = f"http://{closed}"
    with quiet_mlflow(address):
        started = time.monotonic()
        error = caught(lambda: MlflowClient(address, address).search_registered_models())
        assert time.monotonic() - started < 100  # MLflow alone tries for four minutes
    assert isinstance(error, MlflowException)
    assert unreachable(error)
    wrapped = MlflowException("locked", 13)
    wrapped.__cause__ = of_sqlite("no such table: runs")
    assert not unreachable(wrapped)


def test_access_that_is_refused_and_what_is_not_there():
    assert refused(answered(403))
    assert refused(RestException({"error_code": "UNAUTHENTICATED", "message": "x"}))
    assert not refused(answered(404))
    assert absent(RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "x"}))
    assert not absent(MlflowException("connection refused"))


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://{}", "connection refused"),
        ("http://nobody.invalid:5000", "cannot be reached"),
        ("postgresql+psycopg://ann:secret@{}/mlflow", "cannot be reached"),
    ],
)
def test_an_address_without_a_server_is_told_with_the_address(closed, run, tmp_path, uri, words):
    if "psycopg" in uri:
        pytest.importorskip("psycopg", reason="the extra 'postgresql' is not installed")
    uri = uri.format(closed)
    config = RegisterConfig(tracking_uri=uri, patience="0s")
    started = time.monotonic()
    with pytest.raises(UnreachableError, match=words) as told:
        find_registration(run, config=config, out=tmp_path)
    assert time.monotonic() - started < 100
    assert "secret" not in str(told.value)
    assert "\n" not in str(told.value)
    assert uri.rpartition("@")[2] in str(told.value)


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self, monkeypatch):
        self.now, self.pauses = 1000.0, []
        monkeypatch.setattr("tenacity.nap.time.sleep", self.sleep)
        monkeypatch.setattr("time.monotonic", lambda: self.now)

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def test_pauses_grow_and_the_last_try_is_at_the_end(monkeypatch):
    clock, tries = Clock(monkeypatch), []

    def fails():
        tries.append(clock.now)
        raise UnreachableError("x cannot be reached")

    with pytest.raises(OutOfPatienceError, match="x cannot be reached"):
        patiently(fails, patience=60.0)
    assert 60.0 <= tries[-1] - tries[0] < 60.1
    for i, pause in enumerate(clock.pauses[:-1]):
        longest = min(0.25 * 2**i, 15.0)
        assert longest / 2 <= pause <= longest
    assert 9 <= len(tries) <= 16


def test_patience_begins_with_the_first_failure_and_is_used_once(monkeypatch):
    clock, tries = Clock(monkeypatch), []

    def works_long_then_fails():
        tries.append(clock.now)
        clock.now += 600 if len(tries) == 1 else 0
        raise UnreachableError("x")

    def outer():
        patiently(works_long_then_fails, patience=10.0)

    with pytest.raises(OutOfPatienceError):
        patiently(outer, patience=10.0)
    assert 610.0 <= clock.now - 1000.0 < 610.1
    with pytest.raises(ZeroDivisionError):
        patiently(lambda: 1 / 0, patience=10.0)


def test_only_what_may_be_repeated_is_repeated():
    class Flaky:
        def __init__(self):
            self.calls = []

        def __getattr__(self, name):
            def call():
                self.calls.append(name)
                if self.calls.count(name) < 3:
                    raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
                return name

            return call

    flaky = Flaky()
    client = PatientClient(flaky, uri="http://ann:secret@x", patience=20.0)
    assert client.set_model_version_tag() == "set_model_version_tag"
    for name in ("create_model_version", "create_run", "delete_model_version", "log_outputs"):
        with pytest.raises(UnreachableError, match=r"^http://\*\*\*@x cannot be reached: connection reset by peer$"):
            getattr(client, name)()
        assert flaky.calls.count(name) == 1


def test_patience_is_a_duration():
    assert Store.of(RegisterConfig(tracking_uri="http://x", patience="2min"), out=".").patience == 120.0
    with pytest.raises(ConfigError, match=r"register\.patience: must be a number and a unit"):
        Store.of(RegisterConfig(tracking_uri="http://x", patience="long"), out=".")


def test_mlflows_own_retries_are_off_and_its_timeout_is_the_users(monkeypatch):
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT

    with quiet_mlflow("http://x"):
        assert (MLFLOW_HTTP_REQUEST_MAX_RETRIES.get(), MLFLOW_HTTP_REQUEST_TIMEOUT.get()) == (0, 30)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "500")
    with quiet_mlflow("http://x"):
        assert MLFLOW_HTTP_REQUEST_TIMEOUT.get() == 500
    assert reaching.unreachable(ConnectionRefusedError(errno.ECONNREFUSED, "no"))
