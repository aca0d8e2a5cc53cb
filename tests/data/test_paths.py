from pathlib import Path

import pytest

from ctrsel.core.errors import ConfigError
from ctrsel.data.paths import expand, guess_format, is_delta, is_uri


def test_uris_are_told_from_paths() -> None:
    assert is_uri("abfss://container@account/x.parquet")
    assert not is_uri("a//b")
    assert not is_uri("x://")  # a drive of one letter
    assert guess_format("https://host/x.csv.gz?version=1.2") == "csv"
    with pytest.raises(ConfigError, match=r"https://host/x\?f=x\.csv: the ending '' says no format"):
        guess_format("https://host/x?f=x.csv")


def test_variables_are_expanded_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", "clicks")
    assert expand("s3://${BUCKET}/x.parquet") == "s3://clicks/x.parquet"
    with pytest.raises(ConfigError, match=r"s3://\$NO_SUCH/x: the environment variable NO_SUCH is not set"):
        expand("s3://$NO_SUCH/x")
    odd = tmp_path / "cost in $US.csv"
    odd.touch()
    assert expand(str(odd)) == str(odd)  # a name first


def test_delta_folders(tmp_path: Path) -> None:
    (tmp_path / "_delta_log").mkdir()
    assert is_delta(str(tmp_path))
    assert guess_format(str(tmp_path)) == "delta"
    assert not is_delta(f"s3://bucket{tmp_path}")
