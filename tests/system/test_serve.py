"""`ctrsel serve` as a process of its own: reloads under load, its description tried by schemathesis, no pickle, a clean end."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrsel.testing.runs import tiny_net
from ctrsel.testing.tables import tiny_frame, tiny_table

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(600)]

# Python's own audit: whatever unpickles has to find its classes.
WATCHED = """
import sys
def hook(name, given):
    if name == "pickle.find_class":
        print("PICKLE", given, file=sys.stderr, flush=True)
sys.addaudithook(hook)
from ctrsel.cli import main
raise SystemExit(main(sys.argv[1:]))
"""


@contextlib.contextmanager
def served(model, folder, *options):
    log = folder / "serve.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", WATCHED, "serve", str(model), "--port", "0", "--json", *options],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            said = process.stdout.readline()
            assert said, log.read_text()
            process.port = int(json.loads(said)["address"].rpartition(":")[2])
            yield process
        finally:
            process.send_signal(signal.SIGTERM)  # does nothing to a process that has ended
            code = process.wait(timeout=60)
            process.stdout.close()
    text = log.read_text()
    assert code == 0, text
    assert "PICKLE" not in text
    assert "Traceback" not in text


def ask(link, rows, **more):
    link.request("POST", "/predict", json.dumps({"rows": rows, **more}).encode())
    answer = link.getresponse()
    return answer.status, json.loads(answer.read())


def reloads(link):
    link.request("GET", "/model")
    return json.loads(link.getresponse().read())["reloads"]


def test_two_models_change_places_under_load_and_no_request_is_lost(tmp_path):
    models = [tiny_net(tiny_table(), seed=i) for i in range(2)]
    for i, model in enumerate(models):
        model.save(tmp_path / f"model_{i}")
    link = tmp_path / "now"
    link.symlink_to("model_0")
    rows = tiny_frame(rows=5, seed=2).drop("click")
    expected = {m.digest: m.probabilities(rows)[:, 0] for m in models}
    answers, faults, done = [], [], threading.Event()

    def client(port):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            while not done.is_set():
                try:
                    status, said = ask(connection, rows.to_dicts())
                    assert status == 200, said
                    found = [p["probability"] for p in said["predictions"]]
                    np.testing.assert_allclose(found, expected[said["digest"]], atol=1e-6)
                    answers.append(said["digest"])
                except Exception as error:
                    faults.append(repr(error))
                    return

    with served(link, tmp_path, "--reload", "0.1") as process:
        clients = [threading.Thread(target=client, args=(process.port,)) for _ in range(8)]
        for one in clients:
            one.start()
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", process.port)) as connection:
            for turn in range(1, 5):
                beside = tmp_path / "next"
                beside.symlink_to(f"model_{turn % 2}")
                beside.replace(link)
                until = time.monotonic() + 120
                while reloads(connection) < turn:
                    assert time.monotonic() < until
                    time.sleep(0.2)
                before = len(answers)
                while len(answers) < before + 2 * len(clients) and not faults:  # asked before and after the change
                    assert time.monotonic() < until
                    time.sleep(0.05)
        done.set()
        for one in clients:
            one.join(timeout=60)
    assert faults == []
    assert set(answers) == set(expected)


def test_a_signal_lets_the_requests_that_were_taken_be_answered(tmp_path):
    tiny_net(tiny_table()).save(tmp_path / "model")
    body = json.dumps({"rows": tiny_frame(rows=100, seed=2).drop("click").to_dicts()}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    with served(tmp_path / "model", tmp_path) as process:
        with socket.create_connection(("127.0.0.1", process.port), timeout=60) as link:
            link.sendall(head.encode())
            assert link.recv(1000).startswith(b"HTTP/1.1 100")  # the request is at work, and waits for its body
            process.send_signal(signal.SIGTERM)
            time.sleep(1.0)
            link.sendall(body)
            assert link.recv(1000).startswith(b"HTTP/1.1 200")
        assert process.wait(timeout=60) == 0


def test_the_description_holds_whatever_is_sent(tmp_path):
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed; it comes with the extra dev")
    tiny_net(tiny_table()).save(tmp_path / "model")
    with served(tmp_path / "model", tmp_path, "--max-bytes", "100000") as process:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                *("run", f"http://127.0.0.1:{process.port}/openapi.json"),
                *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
                *("--checks", "response_schema_conformance", "--max-examples", "60", "--seed", "1"),
                *("--phases", "examples,coverage,fuzzing", "--no-color"),
                *("--request-timeout", "120", "--suppress-health-check", "too_slow"),  # the machine may be busy
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]


GROWTH = """
import sys
from ctrsel.core.memory import anonymous_memory
from ctrsel.serve import score_file
import threading, time
most, done = [0], []
def watch():
    while not done:
        most[0] = max(most[0], anonymous_memory())
        time.sleep(0.005)
score_file(sys.argv[1], sys.argv[3], sys.argv[4] + ".warm.csv")  # libraries and compiled loops
start = anonymous_memory()
thread = threading.Thread(target=watch)
thread.start()
score_file(sys.argv[1], sys.argv[2], sys.argv[4], keep=["noise"])
done.append(1)
thread.join()
print(most[0] - start)
"""


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv", "tsv.gz", "ndjson.zst"])
def test_memory_does_not_grow_with_the_rows(tmp_path, kind):
    tiny_net(tiny_table()).save(tmp_path / "model")
    grown = []
    for times in (1, 10):
        part = tiny_frame(rows=100_000, seed=1).drop("click")
        rows = pl.concat([part] * times)
        file = tmp_path / f"rows_{times}.{kind}"
        _write(rows, file)
        _write(part.head(1000), tmp_path / f"warm.{kind}")
        done = subprocess.run(
            [
                *(sys.executable, "-c", GROWTH, str(tmp_path / "model"), str(file)),
                *(str(tmp_path / f"warm.{kind}"), str(tmp_path / f"out_{times}.csv.gz")),
            ],
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        grown.append(int(done.stdout.split()[-1]) / 2**20)
    print(f"{kind}: {grown[0]:.0f} MiB for 100,000 rows, {grown[1]:.0f} MiB for 1,000,000")
    assert grown[1] < 1.5 * grown[0] + 32, grown


def _write(rows, file):
    kind, _, packed = file.name.partition(".")[2].partition(".")
    match kind:
        case "parquet":
            rows.write_parquet(file, row_group_size=50_000)
            return
        case "arrow":
            rows.write_ipc(file, record_batch_size=50_000)
            return
        case "ndjson":
            text = rows.write_ndjson()
        case _:
            text = rows.write_csv(separator="," if kind == "csv" else "\t")
    if packed:
        import pyarrow as pa

        text = pa.compress(text.encode(), codec={"gz": "gzip", "zst": "zstd"}[packed], asbytes=True)
        file.write_bytes(text)
    else:
        file.write_text(text)
