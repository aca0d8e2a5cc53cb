"""The service over HTTP, in a real server: what it answers, and what it refuses, always in one sentence."""

from __future__ import annotations

import json
import socket
import threading

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctrsel.serve import ServingModel
from ctrsel.serve.holder import FolderSource, Holder
from ctrsel.serve.limits import Limits
from ctrsel.testing.runs import tiny_net
from ctrsel.testing.sequence_backbone import TargetAttention
from ctrsel.testing.tables import sequence_frame, sequence_table, tiny_frame, tiny_table

from .conftest import Client, running


def test_health_readiness_and_the_model(client, model):
    assert client.ask("GET", "/health") == (200, {"status": "ok"})
    assert client.ask("GET", "/ready") == (200, {"status": "ready", "digest": model.digest})
    status, said = client.ask("GET", "/model")
    assert status == 200
    assert said["digest"] == model.digest
    assert said["kind"] == "net"
    assert said["labels"] == ["click"]
    assert [f["name"] for f in said["inputs"]] == ["site", "ad", "noise", "id", "hour", "load"]
    assert {f["name"]: f["values"] for f in said["inputs"]}["site"] == 4
    assert said["limits"]["rows"] == 50
    assert (said["reloads"], said["trouble"]) == (0, None)


def test_rows_are_scored_as_in_python(client, model):
    rows = tiny_frame(rows=40, seed=9).drop("click")
    expected = model.probabilities(rows)[:, 0]
    texts = rows.with_columns(pl.all().cast(pl.String))
    for sent in (rows.to_dicts(), texts.to_dicts(), [{**r, "other": [1], "x": {"y": 1}} for r in rows.to_dicts()]):
        status, said = client.predict(sent)
        assert status == 200
        assert said["digest"] == model.digest
        np.testing.assert_allclose([p["probability"] for p in said["predictions"]], expected, atol=1e-6)
    status, said = client.predict(rows.to_dicts()[0])
    assert len(said["predictions"]) == 1
    assert said["predictions"][0]["probability"] == pytest.approx(expected[0], abs=1e-6)
    assert client.predict([]) == (
        200,
        {"digest": model.digest, "label": "click", "method": None, "predictions": []},
    )


def test_lines_are_scored_as_in_python(client, model):
    rows = tiny_frame(rows=40, seed=10).drop("click")
    body = rows.write_ndjson().replace("\n", "\n\n").encode()
    status, said = client.ask("POST", "/predict/batch", body, Content_Type="application/x-ndjson")
    assert status == 200
    lines = [json.loads(line) for line in said.splitlines()]
    np.testing.assert_allclose([p["probability"] for p in lines], model.probabilities(rows)[:, 0], atol=1e-6)
    assert set(lines[0]) == {"probability", "logit", "other", "missing"}
    assert client.ask("POST", "/predict/batch", b"\n", Content_Type="application/x-ndjson") == (200, b"")


def test_reasons_are_what_a_row_loses_without_a_value(client, model):
    row = {"site": "site1", "ad": "never seen", "hour": 7, "load": 0.5, "noise": None}
    status, said = client.predict(row, reasons=True)
    assert status == 200
    assert said["method"] == "leave_one_out"
    [found] = said["predictions"]
    assert found["unknown"] == ["ad"]
    assert found["missing"] == ["noise", "id"]
    effects = {e["column"]: e["effect"] for e in found["effects"]}
    assert list(effects) == sorted(effects, key=lambda n: -abs(effects[n]))
    assert set(effects) == {"site", "ad", "hour", "load"}
    score = ServingModel(model=model).score
    for name, effect in effects.items():
        without = pl.DataFrame([{k: v for k, v in row.items() if k != name}])
        assert effect == pytest.approx(found["logit"] - float(score(without).logits[0, 0]), abs=1e-5)


def test_lists_come_as_lists():
    from ctrsel.models.layout import Layout
    from ctrsel.models.model import Model
    from ctrsel.models.net import NetPredictor
    from ctrsel.models.network import Net

    table, backbone = sequence_table(), TargetAttention()
    net = Net(backbone, Layout.of(table.encoder, history=True), width=4, labels=1)
    made = Model(encoder=table.encoder, predictor=NetPredictor(backbone=backbone, width=4, labels=1, net=net))

    class Given:
        name = "given"

        def stamp(self):
            return "1"

        def load(self):
            return made

    rows = sequence_frame(rows=20, seed=3).drop("click")
    with running(Holder(Given())) as client:
        status, said = client.predict(rows.to_dicts(), reasons=True)
    assert status == 200
    np.testing.assert_allclose(
        [p["probability"] for p in said["predictions"]], made.probabilities(rows)[:, 0], atol=1e-6
    )
    empty = [i for i, r in enumerate(rows.to_dicts()) if not r["history"]]
    assert all("history" in said["predictions"][i]["missing"] for i in empty)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"", 422, "the body must be JSON, but: expecting value at character 1"),
        (b"\xff", 422, "must be UTF-8 text, got byte 0xff at 1"),
        (b"[]", 422, 'must be an object such as {"rows": [...]}, got a list'),
        (b"{}", 422, "must have the name 'rows'"),
        (b'{"rows": 1}', 422, "'rows' must be a row or a list of rows, got a number"),
        (b'{"rows": [1]}', 422, "row 1 must be an object with the columns' names, got a number"),
        (b'{"rows": [], "why": 1}', 422, "the names 'rows' and 'reasons', got 'why'"),
        (b'{"rows": [], "reasons": 1}', 422, "'reasons' must be true or false, got a number"),
        (
            b'{"rows": {"x": 1}}',
            422,
            "at least one of the model's 6 columns (site, ad, noise, id, hour, load), got 'x'",
        ),
        (b'{"rows": {}}', 422, "got none"),
        (b'{"rows": {"load": "heavy"}}', 422, "column 'load': row 1 must be a number, got 'heavy'"),
        (b'{"rows": [{"load": 1}, {"load": 3e38}]}', 422, "row 2 must have numbers that the model can compute with"),
        (b'{"rows": {"load": 1e999}}', 422, "a number is too large"),
        (b'{"rows": {"load": NaN}}', 422, "NaN is no JSON; a missing value is null"),
        (b'{"rows": {"site": {"a": 1}}}', 422, "row 1: 'site' must be null, a truth value, a number, a text or a list"),
        (b'{"rows": {"site": [[1]]}}', 422, "a list of single values, got a list in it"),
        (b'{"rows": {"site": ["a"]}}', 422, "column 'site': a categorical value must be a text, a number or a time"),
        (b'{"rows": {"site": "\\ud800"}}', 422, "row 1: 'site' must be text, but has a lone surrogate"),
        (b'{"rows": {"site": 1, "site": 2}}', 422, "the name 'site' stands twice in an object"),
        (b'{"rows": {"site": ' + b"9" * 5000 + b"}}", 422, "must be JSON, but"),
        (b'{"rows": ' + b"[" * 9000 + b"]" * 9000 + b"}", 422, "nested too deeply"),
        (b'{"rows": {"site": "' + b"x" * 201 + b'"}}', 413, "row 1: 'site' may have at most 200 characters, got 201"),
        (b'{"rows": {"site": [' + b"1," * 20 + b"1]}}", 413, "may have at most 20 items, got 21"),
        (b'{"rows": [' + b'{"ad": 1},' * 50 + b'{"ad": 1}]}', 413, "at most 50 rows, got 51"),
        (
            b'{"rows": [' + b'{"ad": 1},' * 5 + b'{"ad": 1}], "reasons": true}',
            413,
            "for reasons may have at most 5 rows",
        ),
        (b" " * 20_001, 413, "the body may have at most 20,000 bytes"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_one_sentence(client, body, status, sentence):
    got, said = client.ask("POST", "/predict", body)
    assert (got, set(said)) == (status, {"error"})
    assert sentence in said["error"]
    assert "\n" not in said["error"]


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b'{"ad": 1}\n{"ad": \n', 422, "line 2 must be JSON"),
        (b'{"ad": 1}\n\n[]\n', 422, "line 3 must be an object"),
        (b'{"ad": 1}\n' * 51, 413, "at most 50 rows, got more"),
    ],
)
def test_lines_that_break_a_rule_are_refused_with_their_number(client, body, status, sentence):
    got, said = client.ask("POST", "/predict/batch", body)
    assert got == status
    assert sentence in said["error"]


def test_other_ways_of_asking_are_refused(client):
    assert client.ask("GET", "/predict")[0] == 405
    assert client.ask("GET", "/nothing") == (404, {"error": "not found"})
    assert client.ask("POST", "/predict", b"a=1", Content_Type="application/x-www-form-urlencoded")[0] == 415
    status, said = client.ask("POST", "/predict", b"{}", Content_Encoding="gzip")
    assert (status, said["error"]) == (415, "the body must come as it is, got content-encoding 'gzip'")
    # The length says too much, so nothing of it is read; without a length the bytes are counted.
    status, said = client.ask("POST", "/predict", iter([b" " * 9_000] * 9))
    assert status == 413
    assert client.ask("GET", "/health")[0] == 200


def test_a_body_that_does_not_come_is_not_waited_for(folder):
    with (
        running(Holder(FolderSource(path=folder)), limits=Limits(seconds=0.5)) as client,
        socket.create_connection(("127.0.0.1", client.port), timeout=120) as link,
    ):
        link.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        answer = b"".join(iter(lambda: link.recv(10_000), b"")).decode()  # the server closes the connection
    assert answer.startswith("HTTP/1.1 408")
    assert "must come within 0.5 seconds" in answer


def test_more_than_may_wait_is_told_to_come_back(model, folder):
    holder = Holder(FolderSource(path=folder))
    rows = tiny_frame(rows=2000, seed=1).drop("click").to_dicts()
    with running(holder, limits=Limits(waiting=1), threads=1) as client:
        codes = []

        def ask():
            own = Client(port=client.port, holder=holder)
            codes.append(own.predict(rows)[0])
            own.link.close()

        askers = [threading.Thread(target=ask) for _ in range(8)]
        for one in askers:
            one.start()
        for one in askers:
            one.join()
        assert set(codes) <= {200, 503}
        assert 200 in codes
        assert client.predict({"ad": "ad01"})[0] == 200


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
_NAMES = st.sampled_from(["site", "ad", "noise", "id", "hour", "load", "x", ""])


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.dictionaries(_NAMES, _VALUES, max_size=5), max_size=4), st.booleans())
def test_whatever_comes_is_never_a_defect(server, rows, reasons):
    client = Client(port=server.port, holder=server.holder)
    try:
        status, said = client.ask("POST", "/predict", json.dumps({"rows": rows, "reasons": reasons}).encode())
        assert status in (200, 413, 422), said
        assert ("error" in said) == (status != 200)
        if status == 200:
            assert len(said["predictions"]) == len(rows)
            assert all(0 <= p["probability"] <= 1 for p in said["predictions"])
        body = "\n".join(map(json.dumps, rows)).encode()
        assert client.ask("POST", "/predict/batch", body)[0] in (200, 413, 422)
    finally:
        client.link.close()


def test_two_models_of_other_fields_take_turns(tmp_path):
    tiny_net(tiny_table()).save(tmp_path / "a")
    tiny_net(tiny_table(seed=3), seed=5).save(tmp_path / "b")
    link = tmp_path / "now"
    link.symlink_to("a")
    holder = Holder(FolderSource(path=link))
    first = holder.now.digest
    assert holder.check() is False
    link.unlink()
    link.symlink_to("b")
    assert holder.check() is True
    assert holder.now.digest != first
    link.unlink()
    assert holder.check() is False
    assert "holds no saved model" in holder.trouble
    link.symlink_to("a")
    assert holder.check() is True
    assert (holder.trouble, holder.now.number) == ("", 2)
