"""The champion and its copy for times when the registry is away."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ctrsel.api.champion import champion_model, has_champion
from ctrsel.api.reviewing import rollback
from ctrsel.core.errors import ConfigError, UnreachableError
from ctrsel.data.example import example_rows
from ctrsel.register.versions import load_version


@pytest.fixture
def away(daily):
    """The config of a registry that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return replace(daily, register=replace(daily.register, tracking_uri=f"http://127.0.0.1:{port}", patience="1s"))


def test_the_champion_is_copied(daily):
    out = Path(daily.out)
    found = champion_model(daily, out=out)
    assert (found.name, found.version, found.stale) == ("clicks", 1, False)
    assert (out / "champion" / "1" / "manifest.json").is_file()
    rows = example_rows(found.model.encoder, 20, seed=1)
    wanted = load_version("clicks", 1, config=daily.register, out=out)
    np.testing.assert_array_equal(found.model.probabilities(rows), wanted.probabilities(rows))


def test_another_champion_takes_the_copys_place(daily):
    out = Path(daily.out)
    champion_model(daily, out=out)
    rollback("clicks", reason="for a test", to=2, store=daily.register.tracking_uri)
    assert champion_model(daily, out=out).version == 2
    assert [p.name for p in (out / "champion").iterdir() if p.is_dir()] == ["2"]


def test_the_copy_stands_in_while_the_registry_is_away(daily, away, caplog):
    out = Path(daily.out)
    with pytest.raises(UnreachableError):
        champion_model(away, out=out)
    assert not has_champion(away, out=out)
    fresh = champion_model(daily, out=out)
    stale = champion_model(away, out=out)
    assert (stale.version, stale.stale) == (1, True)
    assert stale.model.digest == fresh.model.digest
    assert has_champion(away, out=out)
    assert "its last known champion is used" in caplog.text
    other = replace(away, register=replace(away.register, model_name="other"))
    with pytest.raises(UnreachableError):
        champion_model(other, out=out)


def test_no_champion_is_said(daily):
    other = replace(daily, register=replace(daily.register, model_name="other"))
    assert not has_champion(other, out=Path(daily.out))
    with pytest.raises(ConfigError, match="other: has no champion yet; promote a version first"):
        champion_model(other, out=Path(daily.out))
