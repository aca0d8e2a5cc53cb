"""Every selector file meets the contract; new files are found by themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctrsel.core.catalog import describe
from ctrsel.core.errors import ConfigError
from ctrsel.models.backbones.deepfm import DeepFM
from ctrsel.models.gates.optfs import OptFS
from ctrsel.models.gates.sequential_attention import SequentialAttention
from ctrsel.records.feature_set import OTHER, RESERVED
from ctrsel.select import CATALOG, CONTROLS, Problem, Size, exclude
from ctrsel.select.lasso import Lasso
from ctrsel.select.none import NoSelection
from ctrsel.select.permutation import Permutation
from ctrsel.select.shadowed import Shadowed
from ctrsel.select.shark import Shark
from ctrsel.select.stable import Stable
from ctrsel.train.net import NetLearner

QUICK = {
    "gated": {"gate": OptFS(epochs=6, penalty=0.05, gate_lr=0.1)},
    "gated_fields": {"gate": SequentialAttention(epochs=4, every=1)},
    "ranking": {"ranking": "toy"},
    "stable": {"selector": Lasso(steps=4), "pairs": 1},
    "shadowed": {"selector": Lasso(steps=4), "rounds": 8},
    "drcfs": {"max_q": 1.0, "rows": 30},
}
# Those that train, or follow a path, take too long for many random cases.
SLOW = {"gated", "gated_fields", "shark", "sfs", "permutation", "lasso", "elimination", "drcfs", "stable", "shadowed"}
SLOW |= {"value_loss", "net_merge"}
FIELDS = ("a", "b", "c", "item", "past", "tags", "same", "x")
NET = NetLearner(backbone=DeepFM(hidden=(4,)), width=2, batch_size=8, learning_rate=1e-2, max_epochs=2)


def made(name):
    return CATALOG.load(name)(**QUICK.get(name, {}))


@pytest.fixture(params=CATALOG.names())
def selector(request):
    return made(request.param)


def test_the_controls_are_in_the_catalogue():
    names = {describe(c)["use"] for c in CONTROLS}
    assert names | {"none", "gated", "ranking"} <= set(CATALOG.names())


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    case=st.fixed_dictionaries(
        {
            "seed": st.integers(0, 10**6),
            "share": st.floats(0.02, 1),
            "always": st.sets(st.sampled_from(FIELDS), max_size=2),
            "groups": st.lists(st.sets(st.sampled_from(FIELDS), min_size=2, max_size=3), max_size=2),
        }
    )
)
@pytest.mark.parametrize("name", [n for n in CATALOG.names() if n not in SLOW])
def test_size_and_wishes_are_honoured(random_table, ranking_of, name, case):
    check(made(name), random_table(case["seed"]), ranking_of, case)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", sorted(SLOW))
def test_a_search_honours_size_and_wishes(random_table, ranking_of, name, seed):
    case = {"seed": seed, "share": 0.8, "always": {"b"}, "groups": [{"a", "x"}, {"c", "tags"}]}
    check(made(name), random_table(seed), ranking_of, case)


def check(selector, table, ranking_of, case):
    table, always, groups = table.without("test"), case["always"], case["groups"]
    problem = Problem(
        table=table,
        learner=NET,
        rankings={"toy": ranking_of("b", "item", "same", "c", "a")},
        always_keep=tuple(sorted(always)),
        groups=tuple(tuple(sorted(g)) for g in groups),
    )
    everything = isinstance(selector, NoSelection)
    size = problem.n_values if everything else int(case["share"] * problem.n_values)
    forced = {f.vocabulary for f in table.schema.fields if f.name in always and not f.is_float}
    least = sum(table.encoder.vocabularies[v].size - RESERVED for v in forced)
    if least > size:
        with pytest.raises(ConfigError, match=rf"always_keep: these fields have {least} values.*{size}"):
            selector.select(problem, size=size, seed=case["seed"])
        return
    try:
        selection = selector.select(problem, size=size, seed=case["seed"])
    except ConfigError:
        # Nothing is left only where the float and the lists are gone as well, by their groups.
        assert {"x", "past", "tags"} <= set().union(*groups)
        return
    features = selection.features
    assert features.n_values <= size
    assert set(always) <= set(features.fields)
    for vocabulary in forced:
        assert features.kept(vocabulary).all()
    for group in groups:
        assert len(group & set(features.fields)) in (0, len(group))
    # What the feature set says it keeps is what the narrowed Encoder holds.
    narrowed = table.narrow(features)
    assert narrowed.encoder.n_values == features.n_values
    assert narrowed.schema.names == features.fields
    for remap in features.remaps.values():
        kept = remap[RESERVED:][remap[RESERVED:] != OTHER]
        if len(np.unique(kept)) < len(kept):  # merged values share a code; which one is the selector's to say
            assert features.method in ("merge", "net_merge")
            continue
        assert kept.tolist() == list(range(RESERVED, RESERVED + len(kept)))
    # No plain field is left that looks alike in all training rows, unless the user asked for it.
    asked = set(always).union(*groups) if groups else set(always)
    train = narrowed.part("train")
    for name in narrowed.code_fields:
        if name not in asked and not everything and name != "item":
            assert len(np.unique(train.columns[name])) > 1, name


def test_what_must_never_be_used_is_in_no_feature_set(selector, random_table, ranking_of):
    table = random_table(5).without("test").crossed([("b", "item"), ("b", "c"), ("c", "item")], min_count=1)
    banned = {"b", "a", "x", "b*item", "b*c"}
    usable = exclude(table, ("b", "a", "x"))
    assert set(usable.schema.names) == set(table.schema.names) - banned
    # The ranking is of the whole table, as counting rankers show what is left out.
    ranking = ranking_of("b", "b*item", "x", "c*item", "b*c", "item", "same", "c", "a")
    problem = Problem(table=usable, learner=NET, rankings={"toy": ranking}, groups=(("c", "tags"),))
    if isinstance(selector, Shadowed):
        selector = replace(selector, strict=False)  # so few rows confirm nothing
    sizes = [Size(number=4, of=unit) if unit == "fields" else Size(number=problem.n_values) for unit in selector.units]
    found = selector.search(problem, sizes=sizes, seed=4)
    for features in map(found.at, sizes):
        assert features.fields
        assert not banned & {*features.fields, *features.remaps, *features.refused_fields}
        # What serves asks for no column of theirs either.
        assert not banned & {f.name for f in usable.narrow(features).encoder.schema.inputs}


def test_the_seed_decides_everything(selector, random_table, ranking_of):
    table = random_table(5).without("test")
    problem = Problem(table=table, learner=NET, rankings={"toy": ranking_of("b", "item", "a")})
    one, two = (selector.select(problem, size=9, seed=4).features for _ in range(2))
    assert one.digest == two.digest
    assert one.encoder == table.encoder.digest


FITS = {name: made(name) for name in CATALOG.names()} | {
    "shark in rounds": Shark(share=0.4),
    "stable, trained": Stable(selector=Permutation(), pairs=1),
    "shadowed, trained": Shadowed(selector=Permutation(), rounds=8),
}


@pytest.mark.parametrize("name", sorted(FITS))
def test_the_trainings_of_a_search_are_told_before(monkeypatch, random_table, ranking_of, name):
    table = random_table(5).without("test")
    rows, fields, counted = table.part("train").n_rows, len(table.schema.names), []
    fit = NetLearner.fit

    def counting(self, table, features=None, *, gate=None, **rest):
        if gate is None:
            seen = len(table.schema.names if features is None else features.fields)
            counted.append(table.part("train").n_rows / rows * seen / fields)
        return fit(self, table, features, gate=gate, **rest)

    monkeypatch.setattr(NetLearner, "fit", counting)
    problem = Problem(table=table, learner=NET, rankings={"toy": ranking_of("b", "item", "a")})
    FITS[name].search(problem, sizes=(Size(number=1, of=FITS[name].units[-1]),), seed=4)
    told = FITS[name].fits(fields=fields, rows=rows)  # at most: constant fields are not asked about
    assert 0.5 * told <= sum(counted) <= 1.02 * told


def test_a_selection_names_its_method_and_parameters(selector, random_table, ranking_of):
    problem = Problem(
        table=random_table(5).without("test"), learner=NET, rankings={"toy": ranking_of("b", "item", "a")}
    )
    features = selector.select(problem, size=9, seed=4).features
    assert dict(features.params) == describe(selector)
    assert features.method


def test_a_size_in_fields_is_met_as_far_as_groups_allow(random_table, ranking_of):
    table = random_table(3).without("test")
    rankings = {"toy": ranking_of("b", "item", "same", "c", "a", "tags", "x", "past")}
    problem = Problem(table=table, learner=NET, rankings=rankings, always_keep=("x",), groups=(("a", "tags"),))
    for name in CATALOG.names():
        selector = made(name)
        if "fields" not in selector.units:
            with pytest.raises(ConfigError, match="cannot keep 3 fields"):
                selector.select(problem, size=Size(number=3, of="fields"), seed=1)
            continue
        if isinstance(selector, NoSelection):
            continue
        sizes = [Size(number=number, of="fields") for number in range(1, len(FIELDS) + 1)]
        found = selector.search(problem, sizes=sizes, seed=1)
        for number, size in enumerate(sizes, start=1):
            features = found.at(size)
            assert "x" in features.fields
            assert len({"a", "tags"} & set(features.fields)) in (0, 2)
            assert len(features.fields) <= number
            for field in features.fields:
                assert field == "x" or features.kept(table.schema.field(field).vocabulary).all()
    with pytest.raises(ConfigError, match="always_keep"):
        made("random").select(problem, size=Size(number=0, of="fields"), seed=1)


def test_fields_are_kept_from_the_best_down(random_table, ranking_of):
    table = random_table(3).without("test")
    problem = Problem(table=table, learner=NET, rankings={"toy": ranking_of("b", "item", "c", "a")})
    found = made("ranking").search(problem, sizes=(), seed=1)
    assert found.at(Size(number=2, of="fields")).fields == ("b", "item")
    assert found.at(Size(number=9, of="fields")).fields == ("a", "b", "c", "item")
    assert found.at(Size(number=2, of="fields")).field_scores == {"b": 0.0, "item": -1.0, "c": -2.0, "a": -3.0}
