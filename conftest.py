"""Pages are tests: the code blocks of every Markdown file that pytest is given are run, each page in a folder of its own.

A page that holds the comment `<!-- slow -->` takes more than some seconds, and runs with the slow tests.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


# MLflow runs this file by itself when it loads a registered model; as a module it declares a model, which is no test.
collect_ignore = ["ctrsel/register/pyfunc_model.py"]


class _Page(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        from ctrsel.testing.markdown import code_blocks

        text = self.path.read_text(encoding="utf-8")
        if any(block.runs for block in code_blocks(text)):
            page = _Blocks.from_parent(self, name="blocks")
            if "<!-- slow -->" in text:
                page.add_marker(pytest.mark.slow)
            yield page


class _Blocks(pytest.Item):
    def runtest(self) -> None:
        from ctrsel.testing.markdown import run_page

        with tempfile.TemporaryDirectory(prefix="page-") as name, pytest.MonkeyPatch.context() as patch:
            folder = Path(name).resolve()
            patch.chdir(folder)
            # A page's runs go where a stranger's would: to SQLite in the run's folder.
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
            run_page(self.path, folder=folder)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """Show the page's lines, and what they called, without the machinery that ran them."""
        frames = traceback.extract_tb(excinfo.tb)
        first = next((i for i, f in enumerate(frames) if f.filename == str(self.path)), len(frames))
        return "".join([*traceback.format_list(frames[first:]), *traceback.format_exception_only(excinfo.value)])

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, 0, f"{self.path.name}: code blocks"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a page if a block of it runs."""
    return _Page.from_parent(parent, path=file_path) if file_path.suffix == ".md" else None
