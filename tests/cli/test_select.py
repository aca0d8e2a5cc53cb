from __future__ import annotations

import json

import pytest

from ctrsel.models.model import Model
from ctrsel.select import CATALOG
from ctrsel.testing.tables import tiny_table

TREES = ("--set", "learners.net={use: boosted, rounds: 5}", "-q")
BASE = ("select", "clicks.parquet", "-l", "click", "--ignore", "id")


def test_a_number_of_fields_is_kept_by_the_ranking_and_the_controls(ctrsel, here):
    said = ctrsel(*BASE, "--k", "2", "--json", *TREES)
    assert said.code == 0, said.err
    assert {s["name"]: s["fields"] for s in said.json["selections"]} == {
        "net, best fields by mutual information": 2,
        "net, random values": 2,
        "net, most frequent values": 2,
    }
    assert set(said.json["selections"][0]["kept_fields"]) == {"site", "ad"}


def test_the_size_is_found_and_said(ctrsel, here):
    said = ctrsel(*BASE, "--auto", "--method", "ranking", *TREES)
    assert said.code == 0, said.err
    assert "the smallest within one standard error of the best" in said.out
    told = ctrsel(*BASE, "--auto", "--method", "ranking", "--json", *TREES).json
    sizes = told["sizes"]
    tried = {t["number"]: t for t in sizes["tried"]}
    assert tried[sizes["chosen"]]["values"] == told["selections"][0]["values"]
    assert max(s["values"] for s in told["selections"]) == told["selections"][0]["values"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--k", "2", "--keep", "20%"), "--k: one size is enough, and --keep names one"),
        (("--keep", "2"), "--keep: must be a share in (0, 1], got 2"),
        (("--keep", "some"), "--keep: expected a share of the values such as 20% or 0.2, got 'some'"),
        (("--k", "0"), "--k: must be at least 1 field"),
        (("--k", "20"), "select.size: the table has 5 fields to choose from, got 20"),
        (("--k", "2", "--method", "gated"), "'gated' chooses values, so it cannot keep 2 fields"),
        (("--method", "gatde"), "unknown selector 'gatde'"),
        (("--method", "ranking,gated,ranking"), "--method: each stands once, got 'ranking' twice"),
        (("--method", ""), "--method: names nothing, got ''"),
        (("--set", "select.groups=[[site, nowhere]]"), "select.groups[0]: unknown field 'nowhere'"),
        (("--set", "select.size=true"), "select.size"),
        (("--budget", "rubbish"), "--budget: says how selectors are compared; add --compare"),
        (("--workers", "4"), "--workers: says how selectors are compared; add --compare"),
        (("--out", "clicks.parquet"), "--out clicks.parquet: must be a folder, but "),
        (("--out", "clicks.parquet/sub"), "--out clicks.parquet/sub: must be a folder, but "),
        (("--out", "/proc/nowhere"), "--out /proc/nowhere: cannot be written"),
    ],
)
def test_mistakes_are_named(ctrsel, here, flags, message):
    said = ctrsel(*BASE, *flags, *TREES)
    assert said.code == 2, said.out
    assert message in said.err


def test_a_size_that_the_first_selector_sets_for_all_is_said(ctrsel, here):
    said = ctrsel(*BASE, "--method", "ranking,permutation", "--k", "5", *TREES)
    assert (
        "information keeps 2 of the 5 fields asked for, and all others stand at its size; name another first"
        in said.out
    )
    said = ctrsel(*BASE, "--method", "permutation,ranking", "--k", "5", *TREES)
    assert "asked for" not in said.out


# Those that ask a net; the others are asked with trees, which are quicker.
NETS = {"gated", "gated_fields", "net_merge", "sfs", "shark", "value_loss"}
NET = "learners.net={use: net, batch_size: 64, max_epochs: 1, width: 2, backbone: {use: deepfm, hidden: [4]}}"
QUICK = {
    "gated": {"gate": {"use": "optfs", "epochs": 2, "gate_lr": 0.1}},
    "gated_fields": {"gate": {"use": "sequential_attention", "epochs": 2, "every": 1}},
    "stable": {"selector": {"use": "lasso", "steps": 4}, "pairs": 1},
    "shadowed": {"selector": {"use": "lasso", "steps": 4}, "rounds": 6, "strict": False},
    "drcfs": {"max_q": 1.0, "rows": 100},
}
ADDED = {"none", "random", "frequent"}  # by the command itself


@pytest.mark.parametrize("name", sorted(set(CATALOG.names()) - ADDED))
def test_no_selector_keeps_what_must_never_be_used(ctrsel, here, name):
    table = tiny_table(rows=400).crossed([("site", "ad"), ("site", "noise")], min_count=1)
    table.save(here / "table")
    spec = json.dumps([{"use": name, **QUICK.get(name, {})}])
    # Without them, the fields that say most would be "ad" and its cross.
    said = ctrsel(
        "select", "table", "--never-use", "ad", "--never-use", "load", "--keep", "60%", "-o", "small", "--json", "-q",
        "--set", NET if name in NETS else TREES[1], "--set", f"select.selectors={spec}",
    )  # fmt: skip
    assert said.code == 0, said.err
    found = said.json
    assert found["of"]["fields"] == 5
    for selection in found["selections"]:
        assert selection["kept_fields"]
        assert set(selection["kept_fields"]) <= {"site", "noise", "id", "hour", "site*noise"}, selection["name"]
        assert not {"ad", "load"} & {f.name for f in Model.load(selection["out"]).encoder.schema.inputs}
