"""The papers of the project say what they must."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_licence():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_dockerfile_is_multi_stage_and_ends_without_root():
    lines = [x for x in (ROOT / "Dockerfile").read_text().splitlines() if x and not x.startswith("#")]
    stages = [x for x in lines if x.startswith("FROM ")]
    assert len(stages) == 2
    assert " AS build" in stages[0]
    last = lines[lines.index(stages[1]) :]
    users = [x.split()[1] for x in last if x.startswith("USER ")]
    assert users
    assert users[-1] not in ("root", "0")
    assert any(x.startswith("COPY --from=build") for x in last)
    assert any("make install" in x for x in lines)
    assert 'ENTRYPOINT ["ctrsel"]' in lines


def test_dockerfile_copies_only_what_is_sent():
    sent = {x[1:] for x in (ROOT / ".dockerignore").read_text().splitlines() if x.startswith("!")}
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert source in sent
                assert (ROOT / source).exists()


def test_changelog_has_this_version():
    import ctrsel

    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## \[{re.escape(ctrsel.__version__)}\]", text, re.MULTILINE)
    assert "## [Unreleased]" in text


def test_contributing_names_the_commands_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", text))
    assert named
    assert named <= targets
