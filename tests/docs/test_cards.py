"""Every component has a card, whose parameters and deviations are those of the code."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import ctrsel
from ctrsel.core.catalog import Catalog, describe

ROOT = Path(__file__).parents[2]
CARDS = ROOT / "docs" / "methods"
SHARED = {
    "ctrsel.data.audit": "audit",
    "ctrsel.data.layouts": "layouts",
}  # one card for all components of a catalogue, a section each
SECTIONS = ("When to use", "Cost", "Evidence", "Limits", "Deviations", "Parameters", "Example")
NO_COMPONENT = {"audit", "layouts", "metrics", "buckets"}  # cards about something that no catalogue lists


def catalogs() -> list[Catalog[Any]]:
    """Find the catalogues of all packages below ctrsel."""
    packages = [m.name for m in pkgutil.walk_packages(ctrsel.__path__, "ctrsel.") if m.ispkg]
    found = [getattr(importlib.import_module(name), "CATALOG", None) for name in packages]
    return [c for c in found if isinstance(c, Catalog)]


# A predictor is the saved form of a learner's model and has no parameters; the learner's card speaks for it.
COMPONENTS = [(catalog, name) for catalog in catalogs() if catalog.kind != "predictor" for name in catalog.names()]


def section(text: str, title: str, *, level: int = 2) -> str | None:
    """Return what stands under a heading, up to the next one of its level or above."""
    marks = "#" * level
    found = re.search(rf"^{marks} {re.escape(title)}\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.DOTALL | re.MULTILINE)
    return None if found is None else found[1]


def table(text: str) -> dict[str, Any]:
    """Return parameter and default from the first table whose first column is named so; defaults are YAML."""
    found: dict[str, Any] = {}
    inside = False
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if cells[:2] == ["parameter", "default"]:
            inside = True
        elif inside and line.startswith("|") and not set(cells[0]) <= set("-: "):
            found[cells[0].strip("`")] = yaml.safe_load(cells[1].strip("`"))
        elif inside and not line.startswith("|"):
            break
    return found


def defaults(component: type) -> dict[str, Any]:
    """Return the defaults of a component's parameters; another component stands by its name."""
    spec = describe(component())
    del spec["use"]
    return {k: [named(item) for item in v] if isinstance(v, list) else named(v) for k, v in spec.items()}


def named(value: Any) -> Any:
    """Return a component's name, anything else as it is."""
    return value["use"] if isinstance(value, dict) and "use" in value else value


def shared_card(catalog: Catalog[Any], name: str) -> str | None:
    """Return the card that a component shares with others of its kind, a section each; None if it has one of its own."""
    if catalog.package in SHARED:
        return SHARED[catalog.package]
    if (CARDS / f"{name}.md").is_file():
        return None
    return next((p.stem for p in sorted(CARDS.glob("*.md")) if section(p.read_text("utf-8"), f"`{name}`")), None)


def card(catalog: Catalog[Any], name: str) -> tuple[Path, str]:
    """Return a component's card and the part of it that is about the component."""
    shared = shared_card(catalog, name)
    path = CARDS / f"{shared or name}.md"
    assert path.is_file(), f"the {catalog.kind} {name!r} has no card {path.relative_to(ROOT)}"
    text = path.read_text(encoding="utf-8")
    if shared is None:
        return path, text
    part = section(text, f"`{name}`")
    assert part is not None, f"{path.relative_to(ROOT)} has no section '## `{name}`'"
    return path, part


def test_there_are_catalogs() -> None:
    kinds = {c.kind for c in catalogs()}
    assert kinds >= {"ranker", "explainer", "backbone", "gate", "learner", "selector", "audit check", "step"}


@pytest.mark.parametrize(("catalog", "name"), COMPONENTS, ids=[f"{c.kind}-{n}" for c, n in COMPONENTS])
def test_parameters_are_those_of_the_dataclass(catalog: Catalog[Any], name: str) -> None:
    component = catalog.load(name)
    path, text = card(catalog, name)
    told = table(text)
    known = defaults(component)
    assert told == known, f"{path.relative_to(ROOT)}: parameters of {name}"
    assert {k: type(v) for k, v in told.items()} == {k: type(v) for k, v in known.items()}
    assert list(told) == [f.name for f in dataclasses.fields(component)]


@pytest.mark.parametrize("path", sorted(set(CARDS.glob("*.md")) - {CARDS / "README.md"}), ids=lambda p: p.stem)
def test_card_has_all_sections(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    several = {shared_card(c, n) for c, n in COMPONENTS} | NO_COMPONENT  # parameters stand in each component's section
    wanted = [s for s in SECTIONS if not (s == "Parameters" and path.stem in several)]
    missing = [s for s in wanted if not (section(text, s) or "").strip()]
    assert not missing, f"{path.relative_to(ROOT)} lacks {missing}"
    source = re.search(r"^\*\*Source:\*\* (.*?)\n\n", text, re.DOTALL | re.MULTILINE)
    assert source is not None, "a card names its source"
    assert re.match(r"none;|.*\b(19|20)\d\d\b", source[1], re.DOTALL), "a source has a year, or is 'none;' and a reason"
    assert "```python" in text, "a card shows a running example"


def test_no_card_is_left_over() -> None:
    known = {shared_card(c, n) or n for c, n in COMPONENTS} | NO_COMPONENT
    assert {p.stem for p in CARDS.glob("*.md")} - {"README"} == known


def deviations() -> list[tuple[Path, str]]:
    """Find the tags in the code with their reasons: to the end of the comment, or of the docstring's paragraph."""
    found = []
    for path in sorted((ROOT / "ctrsel").rglob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for i, line in enumerate(lines):
            if "DEVIATION(" not in line:
                continue
            comment = line.lstrip().startswith("#")
            taken = [line]
            for following in lines[i + 1 :]:
                stripped = following.strip()
                ends = not stripped or stripped.startswith('"""') or "DEVIATION(" in stripped
                if ends or comment != stripped.startswith("#"):
                    break
                taken.append(following)
            text = " ".join(t.strip().removeprefix("#").strip() for t in taken).removesuffix('"""')
            found.append((path, " ".join(text[text.index("DEVIATION(") :].split())))
    return found


def owner(path: Path) -> str | None:
    """Return the card that must name a file's deviations; None = any."""
    for catalog, name in COMPONENTS:
        if path == ROOT / Path(*catalog.package.split(".")) / f"{name}.py":
            return shared_card(catalog, name) or name
    return None


def words(text: str) -> str:
    """Return a text without Markdown's marks, on one line."""
    return " ".join(re.sub(r"[`*]", "", text).split())


@pytest.mark.parametrize(("path", "tag"), deviations(), ids=lambda v: v.stem if isinstance(v, Path) else v[:40])
def test_deviation_is_on_a_card(path: Path, tag: str) -> None:
    mine = owner(path)
    cards = [CARDS / f"{mine}.md"] if mine is not None else sorted(CARDS.glob("*.md"))
    told = [words(section(c.read_text(encoding="utf-8"), "Deviations") or "") for c in cards]
    assert any(words(tag) in text for text in told), f"{path.name}: {mine or 'no'} card says {tag!r}"


def test_no_deviation_is_told_that_is_gone() -> None:
    known = {words(tag).split(":")[0] for _, tag in deviations()}
    for path in sorted(CARDS.glob("*.md")):
        for tag in re.findall(r"DEVIATION\([^)]*\)", words(path.read_text(encoding="utf-8"))):
            assert tag in known, f"{path.name} names {tag}, which is not in the code"


def test_deviations_are_found() -> None:
    tags = [tag for _, tag in deviations()]
    assert len(tags) >= 7
    assert all(re.match(r"DEVIATION\([^)]+\): \S", tag) for tag in tags)


def test_the_demos_figures_are_written_by_the_command() -> None:
    text = (CARDS / "gated.md").read_text(encoding="utf-8")
    part = re.search(r"<!-- written by docs/evidence.py -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    assert part is not None
    assert "| net, random values |" in part[1], "a selection stands beside its controls"
