"""Texts cannot turn, break or flood the page; settings read as they are."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.report.wording import public, settings, shorten, visible


@given(st.text(alphabet=st.characters(), max_size=50))
def test_visible_text_can_be_written_and_keeps_what_is_harmless(words: str) -> None:
    written = visible(words)
    written.encode("utf-8")
    assert visible(written) == written
    if words.isascii() and words.isprintable():
        assert written == words


def test_lone_surrogates_controls_and_turns_are_written_out() -> None:
    assert visible("\ud800\x07\u2066\ufffe\n") == "\\ud800\\x07\\u2066\\ufffe\\x0a"


@given(st.text(max_size=100), st.integers(3, 50))
def test_a_short_text_keeps_both_ends(words: str, limit: int) -> None:
    short = shorten(words, limit)
    assert len(short) == min(len(words), limit)
    if len(words) > limit:
        assert words.startswith(short[: limit // 2])
        assert "\u2026" in short


def test_settings_read_back_as_yaml() -> None:
    value = {
        "a": 1,
        "b": {"c": [1.5, "x"], "d": None},
        "e": [{"use": "net", "hidden": [128, 64]}, "two"],
        "f": True,
        "g": [],
        "h": {},
    }
    assert yaml.safe_load(settings(value)) == value


def test_passwords_are_hidden_wherever_they_stand() -> None:
    assert "pw" not in settings({"uri": "postgresql://ann:pw@host/db", "list": ["s3://k:pw@b"]})
    assert public("no address @ all") == "no address @ all"
    assert public("mlflow ui --uri postgresql://a:b@h/d") == "mlflow ui --uri postgresql://***@h/d"
