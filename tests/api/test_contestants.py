from __future__ import annotations

import pytest

from ctrsel.api.contestants import Contest, controls, every_selector
from ctrsel.core.errors import ConfigError
from ctrsel.select.ranking import ByRanking


def test_everybody_has_a_name():
    found = Contest.of(["ranking", {"use": "ranking", "ranking": "jmi"}], controls=controls("mutual_information"))
    assert found.controls == ("random", "frequent", "by mutual_information")
    assert found.selectors == ("ranking", "ranking #2")
    assert found.specs["ranking #2"]["ranking"] == "jmi"
    gates = Contest.of([{"use": "gated", "gate": {"use": "lpfs"}}, "gated"], controls={})
    assert gates.selectors == ("gated lpfs", "gated")
    assert found.specs["by mutual_information"]["max_q"] == 1.0


def test_all_of_the_catalogue_takes_part_or_says_why_not():
    names = every_selector()
    assert {"gated", "ranking"} <= set(names)
    assert not {"random", "frequent", "none"} & set(names)
    found = Contest.of(names, controls=controls("mutual_information"))
    assert set(found.selectors) == set(names)
    assert set(found.refused) <= set(names)


def test_parameters_that_somebody_wrote_are_a_mistake():
    with pytest.raises(ConfigError, match="max_q"):
        Contest.of([{"use": "ranking", "max_q": 7}], controls=controls("mutual_information"))
    assert Contest.of([ByRanking()], controls={}).selectors == ("ranking",)
