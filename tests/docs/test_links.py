"""Links between pages lead somewhere, and files that pages name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"\b(?:benchmarks|configs|tests|ctrsel|docs|pipelines)/[\w./-]+\.(?:py|yaml|md|html)\b")


def prose(text: str) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the names that headings have as link targets."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_internal_links(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in _LINK.findall(prose(text)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{page.name}: no heading for {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_named_files_are_there(page: Path) -> None:
    for name in _FILE.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), f"{page.name} names {name}, which is not there"


def test_every_page_of_docs_is_reached() -> None:
    reached, open_ = set(), [ROOT / "README.md"]
    while open_:
        page = open_.pop()
        if page in reached or not page.exists():
            continue
        reached.add(page)
        for target in _LINK.findall(prose(page.read_text(encoding="utf-8"))):
            there = (page.parent / target.partition("#")[0]).resolve()
            if there.is_dir():
                there = there / "README.md"
            if there.suffix == ".md":
                open_.append(there)
    unreached = set((ROOT / "docs").rglob("*.md")) - reached
    assert not unreached, f"no link from README.md leads to {sorted(str(p.relative_to(ROOT)) for p in unreached)}"
