"""What the pages' runner does with blocks."""

from __future__ import annotations

import traceback

import pytest

from ctrsel.testing.markdown import code_blocks, run_page

PAGE = """# Title

```python
from dataclasses import dataclass


@dataclass(frozen=True)
class Kept:
    size: int = 3
```

```text
this never runs
```

```sh
exit 1
```

1. a list

   ```python
   made = Kept(size=4)
   ```

```python file=written.py
size = 5
```

```python
import written

assert (made.size, written.size) == (4, 5)
```

```sh run exit=3
test -f written.py
exit 3
```
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(text):
        file = tmp_path / "page.md"
        file.write_text(text)
        run_page(file, folder=folder)

    return run


def test_blocks_are_found_with_their_lines():
    found = code_blocks(PAGE)
    assert [b.language for b in found] == ["python", "text", "sh", "python", "python", "python", "sh"]
    assert [b.runs for b in found] == [True, False, False, True, True, True, True]
    assert PAGE.splitlines()[found[3].line - 1] == "   ```python"
    assert found[3].text == "made = Kept(size=4)\n"


def test_longer_fences_hold_shorter_ones():
    (found,) = code_blocks("````text\n```python\n1 / 0\n```\n````\n")
    assert (found.language, found.text) == ("text", "```python\n1 / 0\n```\n")


def test_a_page_runs_in_order_in_one_namespace_and_folder(page):
    page(PAGE)


def test_nothing_is_left_behind(page):
    import sys

    before = set(sys.modules), list(sys.path)
    page(PAGE)
    assert not {m for m in set(sys.modules) - before[0] if m.startswith(("page_", "written"))}
    assert sys.path == before[1]


def test_an_error_points_into_the_page(page):
    with pytest.raises(ZeroDivisionError) as caught:
        page("text\n\n```python\nx = 1\nx / 0\n```\n")
    frames = traceback.extract_tb(caught.tb)
    assert (frames[-1].filename.endswith("page.md"), frames[-1].lineno) == (True, 5)


def test_a_shell_line_that_fails_is_an_error(page):
    with pytest.raises(AssertionError, match=r"line 1: must end with exit code 0, got 1"):
        page("```sh run\nfalse\ntrue\n```\n")


def test_an_open_block_is_an_error():
    with pytest.raises(ValueError, match="line 1: the code block is not closed"):
        code_blocks("```python\nx = 1\n")
