"""The commands around registered versions: what they print, and how they end."""

from __future__ import annotations

import shutil

import pytest

from ctrsel.register import versions
from ctrsel.testing.registry import SmallRegistry


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Versions 1 (good, promoted) and 2 (poor, refused)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        registry = SmallRegistry.make(tmp_path_factory.mktemp("registry") / "store", rows=1500)
        registry.register(registry.good(), seed=1)
        registry.register(registry.poor(), seed=2)
    return registry


@pytest.fixture
def store(made, tmp_path, monkeypatch):
    monkeypatch.setattr(versions, "prove_version", lambda *_args, **_more: 0.0)
    shutil.copyfile(made.folder / "mlflow.db", tmp_path / "mlflow.db")
    return tmp_path


def test_review_prints_what_the_page_says(ctrsel, store):
    said = ctrsel("review", "clicks", "--store", store)
    assert said.code == 0, said.err
    assert said.out.startswith("clicks, version 2 (challenger); champion: version 1\n")
    for wanted in ("check    FAILED, against version 1", "  FAILED", "95 %, paired", "rollback clicks", "log\n"):
        assert wanted in said.out
    assert max(map(len, said.out.splitlines())) <= 140
    assert "ad0" not in said.out
    told = ctrsel("review", "clicks/1", "--store", store, "--json").json
    assert (told["version"], told["champion"], told["check"]["passed"]) == (1, 1, True)
    assert told["review"]["comparison"] is None
    assert len(told["log"]) == 2


def test_review_on_newest_rows_shows_texts_as_they_are(ctrsel, store, made):
    said = ctrsel(
        "review", "clicks/2", "--store", store, "--on", made.config.data.train, "--newest", "6", "--by", "site"
    )
    assert said.code == 0, said.err
    for wanted in ("site = <script>alert(1)</script>", "site = =cmd()", "inputs: ", "scores of this one"):
        assert wanted in said.out


def test_compare(ctrsel, store, made):
    said = ctrsel("compare", "clicks/1", "clicks/2", "--store", store, "--on", made.config.data.train, "--json")
    assert said.code == 0, said.err
    assert said.json["comparison"]["metrics"]["auc"]["difference"]["high"] < 0
    assert ctrsel("compare", "clicks/1", "clicks/2", "--store", store).err.strip().endswith("by --on")


def test_promote_is_refused_with_exit_code_4_unless_forced(ctrsel, store):
    said = ctrsel("promote", "clicks/2", "--reason", "new", "--store", store, "--json")
    assert said.code == 4
    assert said.json["exit_code"] == 4
    assert "version 2 is not promoted" in said.json["error"]
    said = ctrsel("promote", "clicks/2", "--reason", "new", "--force", "--store", store)
    assert said.code == 0, said.err
    assert "promote version 2, champion version 1 to version 2; new; FAILED: auc" in " ".join(said.out.split())
    assert ctrsel("promote", "clicks/2", "--reason", "new", "--force", "--store", store).code == 2
    said = ctrsel("rollback", "clicks", "--reason", "worse", "--store", store, "--json")
    assert (said.code, said.json["entry"]["to"]) == (0, 1)


@pytest.mark.parametrize(
    "argv",
    [
        ("promote", "clicks/2"),
        ("promote", "clicks/2", "--reason", " "),
        ("rollback", "clicks", "--reason", "x" * 1001),
        ("review", "nobody"),
        ("rollback", "clicks", "--reason", "x", "--to", "7"),
    ],
)
def test_bad_usage_is_one_sentence(ctrsel, store, argv):
    said = ctrsel(*argv, *(("--store", store) if "--reason" in argv or argv[0] == "review" else ()))
    assert said.code == 2
    assert said.err.count("error:") == 1
    assert "Traceback" not in said.err


def test_a_store_that_is_not_there(ctrsel, tmp_path):
    said = ctrsel("review", "clicks", "--store", tmp_path)
    assert said.code == 2
    assert "must be an address or a run's folder" in said.err
    assert not list(tmp_path.iterdir())
