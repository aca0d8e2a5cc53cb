"""A registered version as a model to go on from."""

from __future__ import annotations

import numpy as np
import pytest

from ctrsel.api.starts import open_start
from ctrsel.core.config import RegisterConfig
from ctrsel.core.errors import ConfigError
from ctrsel.register import load_registered, register_run


def test_a_version_is_loaded_by_alias_and_by_number(given, table):
    made = register_run(given.run, **given.arguments)
    config = given.arguments["config"]
    for name in (f"models:/{made.model_name}@challenger", f"models:/{made.model_name}/{made.version}"):
        found = load_registered(name, config=config, out=given.out)
        assert found.digest == given.arguments["model"].digest
        rows = found.encoder.vocabularies
        assert rows.keys() == given.arguments["model"].encoder.vocabularies.keys()
        assert open_start(name, register=config, out=given.out).digest == found.digest
    for name in (f"models:/{made.model_name}/99", "models:/nobody@champion"):
        with pytest.raises(ConfigError, match="cannot be loaded from sqlite"):
            load_registered(name, config=config, out=given.out)
    assert np.isfinite(found.offset)


def test_a_registry_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(ConfigError, match="nothing is registered"):
        load_registered("models:/clicks@champion", config=RegisterConfig(), out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
