from __future__ import annotations

import json

import pytest

from ctrsel.core.errors import CtrselError
from ctrsel.data.example import example_rows
from ctrsel.register.contents import write_files
from ctrsel.register.package import package
from ctrsel.register.proof import prove
from ctrsel.register.store import quiet_mlflow
from ctrsel.testing.runs import tiny_run

pytestmark = pytest.mark.slow  # each proof is a process that imports everything


@pytest.fixture(scope="module")
def version(tmp_path_factory, table, net, features):
    scratch = tmp_path_factory.mktemp("version")
    report = scratch / "report.html"
    report.write_text("<h1>report</h1>")
    (scratch / "files").mkdir()
    with quiet_mlflow("sqlite:////nowhere.db"):
        run = tiny_run(table, net)
        write_files(scratch / "files", run, report=report, feature_set=features, rankings=(), model=net)
        package(
            scratch / "version", net, files=scratch / "files", example=example_rows(net.encoder, 5, seed=1), metadata={}
        )
    return scratch / "version"


def test_a_fresh_process_predicts_the_stored_example(version):
    assert prove(str(version)) <= 1e-7


def test_a_version_that_predicts_something_else_is_refused(version, tmp_path):
    file = version / "artifacts" / "example" / "example.json"
    whole = file.read_text()
    changed = json.loads(whole)
    changed["probability"][0] += 0.01
    file.write_text(json.dumps(changed))
    try:
        with pytest.raises(CtrselError, match=r"predicts 0\.01 off"):
            prove(str(version))
    finally:
        file.write_text(whole)


def test_a_version_that_lacks_a_module_is_refused(version):
    module = version / "code" / "ctrsel" / "models" / "net.py"
    whole = module.read_text()
    module.unlink()
    try:
        with pytest.raises(CtrselError, match=r"a fresh process cannot load the model .* unknown predictor 'net'"):
            prove(str(version))
    finally:
        module.write_text(whole)
