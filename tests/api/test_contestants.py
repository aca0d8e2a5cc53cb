from __future__ import annotations

import pytest

from ctrsel.api.contestants import Contest, controls, every_selector
from ctrsel.core.errors import ConfigError
from ctrsel.select.ranking import ByRanking


def test_everybody_has_a_name():
    found = Contest.of(["ranking", {"use": "ranking", "ranking": "jmi"}], controls=controls("mutual_information"))
    assert found.controls == ("random", "frequent", "by mutual_information")
    assert found.selectors == ("ranking", "ranking (ranking=jmi)")
    assert found.specs["ranking (ranking=jmi)"]["ranking"] == "jmi"
    gates = Contest.of([{"use": "gated", "gate": {"use": "lpfs"}}, "gated"], controls={})
    assert gates.selectors == ("gated lpfs", "gated")
    assert found.specs["by mutual_information"]["max_q"] == 1.0


def test_equal_names_are_told_apart_by_what_differs():
    lpfs = {"use": "gated", "gate": {"use": "lpfs"}}
    many = {"use": "gated_fields", "gate": {"use": "autofield"}}
    found = Contest.of(
        [
            lpfs,
            {"use": "gated", "gate": {"use": "lpfs", "alpha": 0.0, "nats": 2.0}},
            many,
            many | {"searches": 3, "resplit": True},
            lpfs,  # the same once more
            {"use": "gated", "gate": {"use": "lpfs", "eps": 0.2, "last_eps": 0.01, "idle": 0.3, "warmup": 0.25}},
        ],
        controls={},
    )
    assert found.selectors == (
        "gated lpfs",
        "gated lpfs (nats=2.0, alpha=0.0)",
        "gated_fields autofield",
        "gated_fields autofield (searches=3, resplit=true)",
        "gated lpfs #2",
        "gated lpfs #3",  # too much differs for a name
    )
    assert found.specs["gated lpfs #3"]["gate"]["eps"] == 0.2


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
