"""The campaign of benchmarks/fuzz_ingest.py, a small one: no traceback, no row lost, changed or invented."""

from dataclasses import replace

import campaign
import malformed
import oracle
import pytest

CASES = 250


def test_one_text_file_at_a_time() -> None:
    outcomes = set()
    for seed in range(CASES):
        case = malformed.draw(seed, kinds=malformed.TEXTS)
        case = replace(case, files=dict(list(case.files.items())[:1]))
        outcomes.add(campaign.judge(case, campaign.staged))
    assert outcomes == {"stored", "stored in part", "refused", "file refused"}


def test_sources_of_all_formats() -> None:
    outcomes = {campaign.judge(malformed.draw(seed), campaign.ingested) for seed in range(CASES // 2)}
    assert outcomes >= {"stored", "stored in part", "refused", "file refused"}


def test_configs() -> None:
    assert {campaign.judge_config(seed) for seed in range(CASES)} == {"config refused", "config accepted"}


@pytest.mark.parametrize(
    ("text", "read", "good"),
    [
        (b"a,b\n1,2\n", 1, [("1", "2")]),
        (b'a,b\n1,"x\n2,y\n', 2, [("2", "y")]),
        (b'a,b\n1,"x\ny"\r\n\r\n2\n', 2, [("1", "x\ny")]),
        (b'a,b\n5" x 3",1\n5",1\n', 2, [('5" x 3"', "1")]),
        (b'a\r"x\ry"\r', 1, [("x\ry",)]),
    ],
)
def test_the_oracle_by_hand(text, read, good) -> None:
    found = oracle.delimited(text, ",", longest=100, rows=None)
    assert (found.read, found.good) == (read, good)


def test_an_oracle_that_counts_otherwise_is_noticed(monkeypatch) -> None:
    """The judge sees a row that is lost."""
    true = oracle.delimited
    monkeypatch.setattr(oracle, "delimited", lambda *a, **k: replace(true(*a, **k), read=true(*a, **k).read + 1))
    case = replace(malformed.draw(0, kinds=("csv",)), files={"f.csv": b"a,b\n1,2\n"}, encoding="utf-8", rows=None)
    with pytest.raises(campaign.WrongError, match="2 rows in, 1 stored"):
        campaign.judge(case, campaign.staged)
