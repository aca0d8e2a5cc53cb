"""A comparison of selectors in MLflow: numbers, parameters, files, and nothing twice."""

from __future__ import annotations

import pytest

from ctrsel.core.config import RegisterConfig
from ctrsel.records.selection_comparison import Curve, Naming, PairedLine, SelectionComparison
from ctrsel.register.comparisons import log_comparison
from ctrsel.register.store import quiet_mlflow


@pytest.mark.slow
def test_one_run_with_the_page(tmp_path):
    found = SelectionComparison(
        name="clicks", table="d", unit="values", total=100, min_count=1, min_counts={}, shares=(0.1, 0.5), numbers=(10, 50),
        judges={"DCN-V2": {}}, seeds=(1, 2), margin=0.002, contestants=(), sets=(), cells=(),
        curves=(Curve(contestant="by (x)", judge="DCN-V2", split="test", area=0.4, low=None, high=None, seeds=1),),
        pairs=(
            PairedLine(
                contestant="by (x)", against="none", share=0.1, judge="DCN-V2", split="test", value=-0.01, low=-0.02,
                high=0.0, low_rows=None, seeds=2,
            ),
        ),
        naming=Naming(selector="by (x)", share=0.5, by_share={}, areas={}, basis="", cells=0),
    )  # fmt: skip
    files = tmp_path / "page"
    files.mkdir()
    (files / "selection.md").write_text("# told\n")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for _ in range(2):  # the second takes the place of the first
        run_id = log_comparison(found, files=files, config=RegisterConfig(tracking_uri=uri), out=tmp_path)
    with quiet_mlflow(uri):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("clicks").experiment_id
        (run,) = client.search_runs([experiment])
        assert run.info.run_id == run_id
        assert run.data.metrics["area_test/DCN-V2/by _x_"] == 0.4
        assert run.data.metrics["difference_low_test/DCN-V2/0.1/to_none"] == -0.02
        assert run.data.params["named"] == "by (x)"
        assert [f.path for f in client.list_artifacts(run_id)] == ["selection.md"]
