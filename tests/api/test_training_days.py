"""The challenger's promotion on the newest days."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import pytest

from ctrsel.api.training_days import promote_challenger
from ctrsel.core.errors import ConfigError, PromotionRefusedError
from ctrsel.register import versions
from ctrsel.register.promotion import promotion_log
from ctrsel.register.versions import find_version

DAY = datetime.date(2026, 1, 20)


@pytest.fixture(autouse=True)
def proven(monkeypatch):
    monkeypatch.setattr(versions, "prove_version", lambda *_args, **_more: 0.0)


def test_a_poor_challenger_is_refused_with_the_reason(daily):
    with pytest.raises(PromotionRefusedError, match="version 2 is not promoted; auc") as error:
        promote_challenger(daily, as_of=DAY, out=Path(daily.out))
    assert error.value.result["promoted"] is False
    assert find_version("clicks/2", config=daily.register, out=Path(daily.out)).champion == 1


def test_one_that_passes_is_promoted_with_its_rows_as_reason(daily, champion_registry, tmp_path):
    wide = replace(daily.register.check, auc_margin=1.0, min_calibration=0.0, max_calibration=99.0)
    days = replace(daily.pipelines.promote, days=2)
    config = replace(
        daily, register=replace(daily.register, check=wide), pipelines=replace(daily.pipelines, promote=days)
    )
    out = Path(daily.out)
    found = promote_challenger(config, as_of=DAY, out=out)
    assert (found["promoted"], found["from"], found["to"]) == (True, 1, 2)
    last = promotion_log("clicks", config=daily.register, out=out)[-1]
    assert last["why"][0] == "scheduled: passed on 200 rows, 18 to 19"
    again = promote_challenger(config, as_of=DAY, out=out)
    assert again["why_not"] == "the challenger is the champion already"


def test_without_a_challenger_there_is_nothing_to_promote(daily):
    other = replace(daily, register=replace(daily.register, model_name="other"))
    with pytest.raises(ConfigError, match="other"):
        promote_challenger(other, as_of=DAY, out=Path(daily.out))
