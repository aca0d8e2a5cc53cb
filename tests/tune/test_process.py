from __future__ import annotations

import os
import subprocess
import sys

from ctrsel.tune.process import _import_path


def test_a_child_finds_this_package_and_not_a_part_of_it_that_stands_first_on_the_path(tmp_path, monkeypatch):
    (tmp_path / "ctrsel").mkdir()
    (tmp_path / "ctrsel" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "import ctrsel.records.ranking"],
        env={**os.environ, "PYTHONPATH": _import_path()},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0
