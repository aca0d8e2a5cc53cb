import numpy as np
import polars as pl
import pytest

from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.audit import audit
from ctrsel.data.ingest import ingest
from ctrsel.records.audit import Audit
from ctrsel.testing.tables import sequence_table, tiny_table


@pytest.fixture(scope="module")
def leaking():
    rng = np.random.default_rng(0)
    y = rng.random(2000) < 0.4
    frame = pl.DataFrame({"y": y.astype(int), "copy": ["yes" if v else "no" for v in y], "a": rng.integers(0, 5, 2000)})
    return ingest(frame, label="y")


def test_worst_first_and_accept_lifts_a_stop(leaking) -> None:
    found = audit(leaking)
    assert [f.field for f in found.stops] == ["copy"]
    assert found.findings[0].severity == "stop"
    lifted = audit(leaking, accept=("copy",))
    assert lifted.stops == ()
    finding = next(f for f in lifted.findings if f.rule == "leak")
    assert (finding.severity, finding.accepted) == ("warn", True)
    assert lifted.digest != found.digest


def test_accepting_an_unknown_field_is_refused(leaking) -> None:
    with pytest.raises(ConfigError, match=r"audit\.accept: unknown field 'cop'; did you mean 'copy'\?"):
        audit(leaking, accept=("cop",))


def test_facts_are_plain_and_complete(tmp_path) -> None:
    table = tiny_table()
    found = audit(table)
    assert list(found.facts) == list(table.schema.names)
    site = found.facts["site"]
    assert set(site) == {
        "kind", "values", "missing_train", "auc_alone",
        "missing_valid", "unseen_valid", "psi_valid", "missing_test", "unseen_test", "psi_test",
    }  # fmt: skip
    assert site["values"] == 4
    codes = table.columns["site"][table.span("train")]
    assert site["missing_train"] == pytest.approx((codes == 0).mean())
    assert found.facts["id"]["unseen_valid"] == 1.0
    assert found.facts["load"]["values"] is None
    assert found.table == table.digest
    found.save(tmp_path / "a")
    assert Audit.load(tmp_path / "a") == found
    assert Audit.load(tmp_path / "a").digest == found.digest


def test_the_audit_does_not_depend_on_test_labels() -> None:
    from dataclasses import replace

    table = tiny_table(rows=2000)
    labels = np.array(table.labels)
    labels[table.span("test")] = labels[table.span("test")][::-1]
    assert audit(table).findings == audit(replace(table, labels=labels)).findings


def test_needs_labels_and_validation() -> None:
    table = tiny_table()
    with pytest.raises(DataError, match="no split 'valid'"):
        audit(table.part("train"))
    scored = table.encoder.encode(pl.DataFrame({"site": ["site1"]}))
    with pytest.raises(DataError, match="no split 'train'"):
        audit(scored)


def test_without_test_split_and_with_lists() -> None:
    found = audit(sequence_table().without("test"))
    assert "unseen_test" not in found.facts["item"]
    assert 0 <= found.facts["history"]["auc_alone"] <= 1


def test_no_raw_value_of_a_sensitive_or_rare_field_is_told() -> None:
    rng = np.random.default_rng(1)
    n = 20_000
    y = rng.random(n) < 0.2
    secret = [f"person{i % 7}" if not p else ("SECRET" if i % 11 == 0 else f"person{i % 7}") for i, p in enumerate(y)]
    schema = SchemaConfig(label=LabelConfig(name="y"), fields={"who": FieldConfig(sensitive=True)})
    for sensitive in (True, False):
        schema = SchemaConfig(label=LabelConfig(name="y"), fields={"who": FieldConfig(sensitive=sensitive)})
        found = audit(
            ingest(pl.DataFrame({"y": y.astype(int), "who": secret, "a": rng.integers(0, 5, n)}), schema=schema)
        )
        assert [f.field for f in found.stops] == ["who"]
        assert ("SECRET" in found.stops[0].evidence) is not sensitive
        assert not sensitive or "#" in found.stops[0].evidence
