"""The page: whole, closed to the network, verdict first, nothing unescaped, nothing hidden shown."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctrsel.core.errors import DataError

VOID = {"meta", "br", "hr", "img", "input", "link"}
SCRIPT = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Parses a page, checks that tags close in order, and collects what the tests ask for."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, k, v or "") for k, v in attrs]
        assert len({k for k, _ in attrs}) == len(attrs), f"an attribute twice on {tag}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, k, v or "") for k, v in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a start"
        assert self.open[-1] == tag, f"</{tag}> inside {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif not (self.open and self.open[-1] == "style"):
            self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [v for _, k, v in self.attributes if k == name]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def source(made: Any, tmp_path: Path) -> str:
    return str(made.page(tmp_path))


def test_tags_close_and_ids_are_unique_and_every_link_leads_somewhere(source: str, tmp_path: Path) -> None:
    page = Page(source)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = set(page.values("href"))
    assert {v[1:] for v in links if v.startswith("#")} <= set(ids)
    assert {v for v in links if not v.startswith("#")} == {"report-tables/values.parquet"}
    assert (tmp_path / "report-tables" / "values.parquet").is_file()
    assert {i for v in page.values("aria-labelledby") for i in v.split()} <= set(ids)
    assert page.tags["h1"] == 1
    assert page.tags["main"] == 1
    assert source.startswith("<!DOCTYPE html>")


def test_nothing_is_fetched_from_anywhere(source: str) -> None:
    page = Page(source)
    assert not page.tags["link"]
    assert not page.tags["img"]
    assert not page.tags["iframe"]
    assert not page.values("src")
    assert all(v.startswith(("#", "report-tables/")) for v in page.values("href"))
    assert not page.values("style")
    assert not [k for _, k, _ in page.attributes if k.startswith("on")]
    assert not re.search(r"@import|@font-face|url\(|https?://", source)


def test_the_policy_admits_the_pages_own_style_and_script_only(source: str) -> None:
    policy = next(v for v in Page(source).values("content") if v.startswith("default-src"))
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for name in ("style", "script"):
        content = re.findall(rf"<{name}>(.*?)</{name}>", source, flags=re.S)
        assert len(content) == 1
        digest = base64.b64encode(hashlib.sha256(content[0].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_planted_texts_are_text(source: str) -> None:
    page = Page(source)
    assert SCRIPT not in source
    assert SCRIPT in page.text
    assert page.tags["script"] == 1
    assert not any("alert" in s for s in page.scripts)
    assert "a \"quoted\" 'value' & more" in page.text
    assert "\u05e9\u05dc\u05d5\u05dd" in page.text
    assert "\u202e" not in source
    assert "x\\u202egnp.exe" in page.text
    assert "\x00" not in source
    assert "empty text" in page.text
    assert "no value" in page.text
    assert "L" * 201 not in source
    assert any("L" * 90 in v and len(v) <= 200 for v in page.values("title"))


def test_the_verdict_comes_before_the_contenders(source: str) -> None:
    order = [
        source.index(mark)
        for mark in (
            "<strong>Accept:</strong>",
            "Rules that were checked",
            'class="contenders',
            'id="fields"',
            'id="detail"',
        )
    ]
    assert order == sorted(order)
    text = Page(source).text
    assert "\u22120.0010 (\u22120.0030 to +0.0010) against the full net" in text
    assert "one seed, indicative" in text
    assert "version 3" in text
    assert "mlflow ui --backend-store-uri sqlite:///mlflow.db --port 5000" in text


def test_a_refusal_says_which_rules_failed(made: Any, tmp_path: Path) -> None:
    verdict = replace(made.run.verdict, promoted=False, reasons=("passed: small", "FAILED: AUC too low"))
    text = Page(made.with_run(verdict=verdict, registration=None).page(tmp_path)).text
    assert "Refuse: the small model fails 1 of 2 rules." in text
    assert "failed AUC too low" in text
    assert "written before the registration" in text


def test_every_contender_stands_with_its_figures(made: Any, source: str) -> None:
    text = Page(source).text
    for c in made.run.contenders:
        assert c.name in text
        assert f"{c.metrics['auc'].value:.4f}" in text
    for written in ("0.7410 to 0.7610", "0.9900"[:5], "1.0 MB", "4.0 MB", "12.0", "30.0 s", "1,200"):
        assert written in text


def test_sensitive_and_rare_values_are_absent(made: Any, source: str) -> None:
    everything = html.unescape(source)
    for hidden in ("ann@example.org", "bob@example.org", "Only nineteen", "Rare segment"):
        assert hidden not in everything
    hashes = [v["value"] for v in made.run.fields[2].shown_values]
    assert all(h in everything for h in hashes)
    assert "1 rare value not shown" in Page(source).text


def test_passwords_in_addresses_are_hidden(source: str) -> None:
    assert "secret" not in source
    assert "s3://***@bucket/train.parquet" in Page(source).text


@pytest.mark.parametrize("value", ["ann", "#12", "#0A1B2C3D", "#0a1b2c3d4", None, 7])
def test_a_sensitive_value_that_is_no_hash_stops_the_page(made: Any, tmp_path: Path, value: Any) -> None:
    row = {"value": value, "rows": 100, "rate": 0.1, "low": 0.05, "high": 0.2, "kept": True}
    fields = tuple(replace(f, shown_values=(row,)) if f.sensitive else f for f in made.run.fields)
    with pytest.raises(DataError, match="sensitive") as caught:
        made.with_run(fields=fields).page(tmp_path)
    assert str(value) not in str(caught.value) or value is None
    assert not (tmp_path / "report.html").exists()


def test_a_sensitive_segment_that_is_no_hash_stops_the_page(made: Any, tmp_path: Path) -> None:
    fields = tuple(replace(f, sensitive=True, shown_values=()) if f.name == "city" else f for f in made.run.fields)
    with pytest.raises(DataError, match="sensitive"):
        made.with_run(fields=fields).page(tmp_path)


def test_audit_findings_stand_worst_first_and_notes_are_folded(source: str) -> None:
    at = source.index('id="audit"')
    places = [source.index(t, at) for t in ("AUC alone 0.99.", "PSI 0.3", "Notes of the audit", "One value.")]
    assert places == sorted(places)
    assert "accepted" in source[at : places[0]]


def test_the_smallest_run_has_a_page(made: Any, tmp_path: Path) -> None:
    """No full net, no rankings, no history, no evaluation, no audit findings: every section copes."""
    from ctrsel.records.audit import Audit

    chosen = made.run.chosen
    bare = replace(
        chosen, metrics={"auc": replace(chosen.metrics["auc"], value=None, low=None, high=None)}, valid={}, epochs=None
    )
    run = replace(
        made.run,
        contenders=(bare,),
        fields=(
            replace(
                made.run.fields[0],
                shown_values=(),
                q=None,
                attribution=None,
                attribution_error=None,
                values=0,
                values_kept=0,
            ),
        ),
        selection_history=(),
        registration=None,
        stages=(),
        config={},
        digests={},
        verdict=replace(
            made.run.verdict, reasons=(), delta_auc=replace(made.run.verdict.delta_auc, value=None, low=None, high=None)
        ),
    )
    small = replace(
        made, run=run, audit=Audit(findings=()), rankings=(), explanations=(), evaluations={}, feature_set=None
    )
    text = Page(small.page(tmp_path)).text
    assert "Nothing was found that" in text
    assert "Not registered" in text
    assert not re.search(r"\b(nan|None|inf)\b", text)


def test_never_used_fields_are_not_counted_as_dropped(made: Any, tmp_path: Path) -> None:
    """The section counts like the verdict: of what the full net has, which is less than the table's."""
    fields = tuple(replace(f, kept=f.name in ("city", "odd")) for f in made.run.fields)
    contenders = tuple(replace(c, fields=3, values=900) if c.role == "full" else c for c in made.run.contenders)
    config = {**made.run.config, "select": {"never_use": ["user"]}}
    whole = made.with_run(fields=fields, contenders=contenders, config=config).page(tmp_path)
    text = Page(whole[whole.index('<section id="selection"') :].split("</section>")[0] + "</section>").text
    assert "of 900 values" in text
    assert "of 3 fields" in text
    assert text.index("select.never_use") < text.index("user") < text.index("Fields dropped as a whole (1)")


def test_one_epoch_and_equal_figures_are_drawn(made: Any, tmp_path: Path) -> None:
    history = ({"epoch": 1.0, "tau": 1.0, "kept": 0.0, "valid_auc": 0.5},)
    same = tuple(replace(c, bytes=1000, metrics=made.run.chosen.metrics) for c in made.run.contenders)
    page = Page(made.with_run(selection_history=history, contenders=same).page(tmp_path))
    assert "Temperature" in page.text


def test_splits_stand_in_their_order_with_what_they_were_read_for(source: str) -> None:
    at = source.index("Splits, and which was read for what")
    places = [source.index(t, at) for t in (">train<", "8,000", ">valid<", "1,000", ">test<", "each contender once")]
    assert places == sorted(places)
    assert "additivity error 3.2e-06" in Page(source).text


def test_the_fields_table_holds_evidence_of_every_ranking(source: str) -> None:
    rows = re.findall(r"<tr>\s*<th scope=row>.*?</tr>", source[source.index('id="fields"') :], flags=re.S)
    noise = Page(next(r for r in rows if ">noise<" in r)).text
    for written in ("dropped", "of 300", "\u22120.00010", "\u22120.4", "0.6600", "\u22120.00020"):
        assert written in noise
    city = Page(next(r for r in rows if ">city<" in r)).text
    for written in (
        "in part",
        "120 of 300",
        "93.0 %",
        "0.03000",
        "900.0",
        "< 0.0001",
        "0.4000 \u00b1 0.0200",
        "0.3000 \u00b1 0.0100",
    ):
        assert written in city


hostile = st.text(max_size=300) | st.sampled_from(
    [SCRIPT, '"><img src=x onerror=alert(1)>', "</title>", "]]>", "{{ 7*7 }}", "&amp;"]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=hostile)
def test_no_text_from_the_data_breaks_the_page(made: Any, tmp_path: Path, words: str) -> None:
    run = made.run
    chosen = replace(run.chosen, name=words)
    changed = replace(
        run,
        name=words,
        table=replace(run.table, source=words, label=words, notes=(words,)),
        contenders=(*(c for c in run.contenders[:2]), chosen),
        fields=(
            replace(
                run.fields[0], name=words, kind=words, shown_values=({**run.fields[0].shown_values[0], "value": words},)
            ),
        ),
        verdict=replace(run.verdict, chosen=words, headline=words, reasons=(words, f"passed: {words}")),
        versions={words: words},
        config={"k": {words: [words, {words: words}]}},
        registration=replace(run.registration, model_name=words, ui_command=words),
    )
    finding = replace(made.audit.findings[0], field=words, evidence=words, advice=words, rule=words)
    hard = replace(
        made,
        run=changed,
        audit=replace(made.audit, findings=(finding,)),
        evaluations={words: made.evaluations[run.chosen.name]},
    )
    source = hard.page(tmp_path)
    page = Page(source)
    assert page.tags["script"] == 1
    assert not page.tags["img"]
    assert not [k for _, k, _ in page.attributes if k.startswith("on")]
    assert all(v.startswith(("#", "report-tables/")) for v in page.values("href"))
