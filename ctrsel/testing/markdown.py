"""Markdown: run the code blocks of a page in order, in one namespace and one folder, so that no page goes stale.

What is run is said by the line that opens a block:

- ```` ```python ```` is run in this process; all such blocks of a page share their names.
- ```` ```python file=name.py ```` is written to that file, which later blocks can import.
- ```` ```sh run ```` is run by bash, every line of which must succeed; ```` ```sh run exit=3 ```` must end with that code.

Any other block (`sh` alone, `text`, `yaml`) is shown only.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "code_blocks", "run_page"]

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`]*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block.

    Attributes:
        language: First word behind the opening ticks, such as "python".
        flags: The other words.
        text: What stands between the fences.
        line: Line of the opening fence, from 1.
    """

    language: str
    flags: tuple[str, ...]
    text: str
    line: int

    def flag(self, name: str) -> str | None:
        """Return the value of `name=value`, None if it is not given."""
        return next((f.partition("=")[2] for f in self.flags if f.startswith(f"{name}=")), None)

    @property
    def runs(self) -> bool:
        """Whether anything is done with the block."""
        return self.language == "python" or (self.language == "sh" and "run" in self.flags)


def code_blocks(text: str) -> tuple[Block, ...]:
    r"""Return the fenced blocks of a page in order.

    Raises:
        ValueError: If a block is not closed.

    Examples:
        >>> [found] = code_blocks("Text.\n\n```sh run exit=3\nctrsel audit\n```\n")
        >>> found.language, found.flag("exit"), found.text, found.line
        ('sh', '3', 'ctrsel audit\n', 3)
    """
    found: list[Block] = []
    opened: re.Match[str] | None = None
    lines: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), start=1):
        fence = _FENCE.match(line)
        if opened is None:
            if fence is not None:
                opened, lines, start = fence, [], number
        elif fence is not None and not fence["info"].strip() and len(fence["ticks"]) >= len(opened["ticks"]):
            language, *flags = opened["info"].split() or [""]
            indent = len(opened["indent"])
            body = "".join(f"{part[indent:]}\n" for part in lines)
            found.append(Block(language=language, flags=tuple(flags), text=body, line=start))
            opened = None
        else:
            lines.append(line)
    if opened is not None:
        raise ValueError(f"line {start}: the code block is not closed")
    return tuple(found)


def run_page(page: Path, *, folder: Path) -> None:
    """Run a page's blocks in the present working directory, which must be `folder`.

    Args:
        page: The Markdown file.
        folder: An empty folder, for whatever the page writes.

    Raises:
        AssertionError: If a shell block ends with another exit code than it says.
        Exception: Whatever a Python block raises; its traceback shows the page's own lines.
    """
    module = types.ModuleType(f"page_{re.sub('[^a-z0-9]', '_', page.stem.lower())}")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    sys.path.insert(0, str(folder))
    before = set(sys.modules)
    try:
        for block in code_blocks(page.read_text(encoding="utf-8")):
            file = block.flag("file")
            if not block.runs:
                continue
            if file is not None:
                (folder / file).write_text(block.text, encoding="utf-8")
                importlib.invalidate_caches()
            elif block.language == "python":
                # As many lines in front as in the page, so that a traceback points into the page.
                code = compile("\n" * block.line + block.text, str(page), "exec")
                exec(code, module.__dict__)
            else:
                _shell(block, page=page, folder=folder)
    finally:
        sys.path.remove(str(folder))
        written = {p.stem for p in folder.glob("*.py")}
        for name in [module.__name__, *((set(sys.modules) - before) & written)]:
            sys.modules.pop(name, None)


def _shell(block: Block, *, page: Path, folder: Path) -> None:
    programs = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = int(block.flag("exit") or 0)
    if done.returncode != expected:
        raise AssertionError(
            f"{page}, line {block.line}: must end with exit code {expected}, got {done.returncode}\n"
            f"{block.text}\n{done.stdout}{done.stderr}"
        )
