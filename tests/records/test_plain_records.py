"""Schema, Audit, Evaluation, Explanation and Run: save, load, digest, and what they refuse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.records.audit import Audit, Finding
from ctrsel.records.evaluation import Evaluation, Metric
from ctrsel.records.explanation import Explanation
from ctrsel.records.run import Contender, FieldSummary, Registration, Run, TableFacts, Verdict
from ctrsel.records.schema import Field, Label, Schema

NUMBER = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=6)

FIELDS = st.one_of(
    st.builds(
        Field,
        name=TEXT,
        kind=st.sampled_from(["categorical", "multivalued", "sequence"]),
        vocabulary=TEXT,
        min_count=st.integers(1, 9),
        max_length=st.none() | st.integers(1, 9),
        sensitive=st.booleans(),
        available_at=st.sampled_from(["before", "after"]),
        cost=st.none() | NUMBER,
    ),
    st.builds(Field, name=TEXT, kind=st.just("numeric"), bucket=st.sampled_from(["log2", "none"]), vocabulary=TEXT),
    st.builds(
        Field, name=TEXT, kind=st.just("numeric"), bucket=st.just("quantile"), bins=st.integers(2, 99), vocabulary=TEXT
    ),
)
SCHEMAS = st.lists(FIELDS, min_size=1, max_size=4, unique_by=lambda f: f.name).map(
    lambda fields: Schema(labels=(Label(name="the label"),), fields=tuple(fields), time="t", sampling_rate=0.5)
)


@given(SCHEMAS)
def test_schema_round_trip(schema: Schema) -> None:
    import json

    back = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
    assert back == schema
    assert back.digest == schema.digest
    assert replace(schema, time=None).digest != schema.digest
    assert schema.only(schema.names[::-1]) == schema
    assert schema.only(schema.names[:1]).names == schema.names[:1]
    for f in schema.fields:
        assert schema.field(f.name) is f


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"kind": "categorical", "bucket": "log2"}, r"schema\.fields\.a: 'bucket' belongs to numeric"),
        ({"kind": "numeric"}, "'bucket' belongs to numeric"),
        ({"kind": "numeric", "bucket": "quantile"}, r"bins: quantile buckets need at least 2 bins, got None"),
        ({"kind": "numeric", "bucket": "quantile", "bins": 1}, "got 1"),
        ({"kind": "categorical", "min_count": 0}, "min_count: must be at least 1, got 0"),
        ({"kind": "sequence", "max_length": 0}, "max_length: must be at least 1, got 0"),
    ],
)
def test_fields_that_are_refused(more, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Field(name="a", vocabulary="a", **more)


def test_schemas_that_are_refused() -> None:
    a = Field(name="a", kind="categorical", vocabulary="a")
    label = Label(name="y")
    with pytest.raises(DataError, match="'a' has two"):
        Schema(labels=(label,), fields=(a, a))
    with pytest.raises(DataError, match="'a' has two"):
        Schema(labels=(Label(name="a"),), fields=(a,))
    with pytest.raises(DataError, match="no column is left"):
        Schema(labels=(label,), fields=())
    with pytest.raises(ConfigError, match="at least one label"):
        Schema(labels=(), fields=(a,))
    for rate in (0.0, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="sampling_rate"):
            Schema(labels=(label,), fields=(a,), sampling_rate=rate)
    with pytest.raises(ConfigError, match="schema: unknown field 'b'"):
        Schema(labels=(label,), fields=(a,)).field("b")


FINDINGS = st.builds(
    Finding,
    rule=TEXT,
    field=st.none() | TEXT,
    severity=st.sampled_from(["note", "warn", "stop"]),
    number=st.none() | NUMBER,
    evidence=TEXT,
    advice=TEXT,
    accepted=st.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(
    findings=st.lists(FINDINGS, max_size=4),
    facts=st.dictionaries(TEXT, st.dictionaries(TEXT, NUMBER | TEXT | st.none(), max_size=3), max_size=3),
)
def test_audit_round_trip(findings, facts, tmp_path_factory) -> None:
    audit = Audit(findings=tuple(findings), facts=facts, table="t")
    path = tmp_path_factory.mktemp("a") / "x"
    audit.save(path)
    assert Audit.load(path) == audit
    assert Audit.load(path).digest == audit.digest
    assert audit.stops == tuple(f for f in findings if f.severity == "stop" and not f.accepted)


METRIC = st.builds(
    Metric, value=st.none() | NUMBER, low=st.none() | NUMBER, high=st.none() | NUMBER, method=st.none() | TEXT
)


@settings(max_examples=25, deadline=None)
@given(metrics=st.dictionaries(TEXT, METRIC, max_size=3), scored=st.booleans())
def test_evaluation_round_trip(metrics, scored: bool, tmp_path_factory) -> None:
    logits = np.linspace(-1, 1, 5, dtype=np.float32) if scored else None
    evaluation = Evaluation(
        model="m",
        split="valid",
        rows=5,
        metrics=metrics,
        segments=({"field": "a", "rows": 3},),
        reliability=({"low": 0.5},),
        label="y",
        logits=logits,
    )
    path = tmp_path_factory.mktemp("e") / "x"
    evaluation.save(path)
    back = Evaluation.load(path)
    assert back == evaluation  # scores are not compared
    assert back.digest == evaluation.digest
    assert np.array_equal(back.logits, logits) if scored else back.logits is None


def explanation(n: int = 4) -> Explanation:
    values = np.random.default_rng(0).normal(size=(n, 3))
    return Explanation(
        method="m",
        fields=("c", "a", "b"),
        values=values,
        base=np.zeros(n),
        rows=np.arange(n),
        checks={"additivity": 1e-9},
        model="d",
        notes=("n",),
    )


@pytest.mark.parametrize("n", [0, 1, 4])
def test_explanation_round_trip_and_ranking(n: int, tmp_path: Path) -> None:
    e = explanation(n)
    e.save(tmp_path / "x")
    back = Explanation.load(tmp_path / "x")
    assert back.digest == e.digest
    assert np.array_equal(back.values, e.values)
    if n == 0:
        return
    mean, error = e.importance()
    assert mean == pytest.approx(np.abs(e.values).mean(axis=0))
    assert (
        np.isnan(error).all() if n == 1 else error == pytest.approx(np.abs(e.values).std(axis=0, ddof=1) / np.sqrt(n))
    )
    ranking = e.to_ranking()
    assert list(ranking.order) == [e.fields[i] for i in np.argsort(-mean)]
    ranking.save(tmp_path / "r")
    assert type(ranking).load(tmp_path / "r").digest == ranking.digest  # one row: its standard error is no number


def test_explanation_of_no_row_has_no_ranking() -> None:
    with np.errstate(all="ignore"), pytest.raises(DataError, match="no row"):
        explanation(0).to_ranking()


def test_explanation_shapes_are_checked() -> None:
    with pytest.raises(DataError, match=r"expected values \[4, 3\] and base \[4\]"):
        replace(explanation(), base=np.zeros(3))


def test_ties_in_an_explanation_go_by_name() -> None:
    e = replace(explanation(), values=np.ones((4, 3)))
    assert e.to_ranking().order == ("a", "b", "c")


def run() -> Run:
    metric = Metric(value=0.75, low=0.7, high=0.8, method="delong")
    contender = Contender(
        name="net",
        role="full",
        learner="net",
        selector=None,
        seed=1,
        fields=2,
        values=9,
        parameters=10,
        bytes=100,
        milliseconds=1.5,
        seconds=2.5,
        metrics={"auc": metric},
        valid={"auc": 0.76},
    )
    field = FieldSummary(
        name="a",
        kind="categorical",
        sensitive=False,
        values=9,
        values_kept=3,
        kept=True,
        traffic_kept=0.9,
        scores={"mi": 1.0},
        ranks={"mi": 1},
        q=None,
        attribution=None,
        attribution_error=None,
        shown_values=({"value": "x", "rows": 20},),
    )
    return Run(
        name="r",
        config={"seed": 1},
        seed=1,
        created="now",
        versions={"numpy": "2"},
        stages=({"name": "rank", "seconds": 1.0},),
        table=TableFacts(
            source="s",
            digest="d",
            rows={"train": 3},
            base_rate={"train": 0.5},
            fields=2,
            values=9,
            label="y",
            notes=("n",),
        ),
        contenders=(contender,),
        fields=(field,),
        verdict=Verdict(promoted=True, chosen="net", headline="h", reasons=("passed",), delta_auc=metric),
        digests={"audit": "x"},
        selection_history=({"epoch": 1.0},),
        registration=Registration(
            tracking_uri="u", model_name="m", version=1, run_id="i", model_uri="v", ui_command="c"
        ),
    )


def test_run_round_trip(tmp_path: Path) -> None:
    r = run()
    r.save(tmp_path / "x")
    assert Run.load(tmp_path / "x") == r
    assert Run.load(tmp_path / "x").digest == r.digest
    assert r.chosen is r.contenders[0]
    bare = replace(r, registration=None)
    bare.save(tmp_path / "y")
    assert Run.load(tmp_path / "y") == bare


def test_run_digest_is_of_what_was_found() -> None:
    r = run()
    later = replace(
        r,
        created="later",
        stages=(),
        registration=None,
        contenders=(replace(r.contenders[0], seconds=9.0, milliseconds=9.0),),
    )
    assert later.digest == r.digest
    assert replace(r, contenders=(replace(r.contenders[0], values=8),)).digest != r.digest
    assert replace(r, seed=2).digest != r.digest
