"""Catalogues, on a package made for the test: files that are components, and files that only look like it."""

import sys
from pathlib import Path

import pytest

from ctrsel.core.catalog import Catalog, describe
from ctrsel.core.errors import ConfigError

FILES = {
    "__init__.py": "",
    "_contract.py": "from abc import ABC, abstractmethod\n__all__ = ['Base']\n"
    "class Base(ABC):\n    @abstractmethod\n    def run(self): ...\n",
    "plain.py": "from dataclasses import dataclass\nfrom PKG._contract import Base\n__all__ = ['Plain']\n"
    "@dataclass(frozen=True, kw_only=True)\nclass Plain(Base):\n    size: int = 3\n    share: float = 0.5\n"
    "    def __post_init__(self):\n        if self.size < 1:\n            raise ValueError(f'size: must be at least 1, got {self.size}')\n"
    "    def run(self): return self.size\n",
    "outer.py": "from dataclasses import dataclass, field\nfrom ctrsel.core.catalog import Catalog\nfrom PKG._contract import Base\n"
    "from PKG.plain import Plain\n__all__ = ['Outer']\n@dataclass(frozen=True, kw_only=True)\nclass Outer(Base):\n"
    "    inner: Base = field(default_factory=Plain, metadata={'catalog': Catalog('PKG', Base, 'thing')})\n"
    "    maybe: Base | None = field(default=None, metadata={'catalog': Catalog('PKG', Base, 'thing')})\n"
    "    def run(self): return self.inner.run()\n",
    "two.py": "from PKG.plain import Plain\nfrom PKG.outer import Outer\n__all__ = ['Plain', 'Outer']\n",
    "function.py": "__all__ = ['run']\ndef run(): ...\n",
    "stranger.py": "__all__ = ['Stranger']\nclass Stranger: ...\n",
    "_private.py": "from PKG.plain import Plain\n__all__ = ['Plain']\n",
    "unfinished.py": "from dataclasses import dataclass\nfrom PKG._contract import Base\n__all__ = ['Unfinished']\n"
    "@dataclass(frozen=True)\nclass Unfinished(Base):\n    x: int = 1\n",
}


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch):
    name = f"toy_{tmp_path.name}".replace("-", "_")
    folder = tmp_path / name
    folder.mkdir()
    for file, text in FILES.items():
        (folder / file).write_text(text.replace("PKG", name))
    monkeypatch.syspath_prepend(str(tmp_path))
    base = __import__(f"{name}._contract", fromlist=["Base"]).Base
    yield Catalog(name, base, "thing")
    for module in [m for m in sys.modules if m.split(".")[0] == name]:
        del sys.modules[module]


def test_names_are_the_files_with_one_component(catalog) -> None:
    assert catalog.names() == ["outer", "plain", "unfinished"]


@pytest.mark.parametrize(
    "name", ["two", "function", "stranger", "_private", "_contract", "", "plain.x", "../plain", "os", "plain "]
)
def test_what_is_no_component_is_an_unknown_name(catalog, name: str) -> None:
    with pytest.raises(ConfigError, match=r"here: unknown thing .* Known: outer, plain, unfinished"):
        catalog.load(name, place="here")


def test_the_nearest_name_is_told(catalog) -> None:
    with pytest.raises(ConfigError, match=r"unknown thing 'plian'; did you mean 'plain'\?"):
        catalog.create("plian")


def test_somebody_elses_component(catalog) -> None:
    assert catalog.load(f"{catalog.package}.two:Outer").__name__ == "Outer"
    with pytest.raises(ConfigError, match="'json:JSONDecoder' must be a Base"):
        catalog.load("json:JSONDecoder")
    for wrong in ("json:Nothing", "no_such_module:X", ":X", "json:", ".x:Y", "a:b:c"):
        with pytest.raises(ConfigError, match="cannot load"):
            catalog.load(wrong)


def test_create_and_describe_are_inverse(catalog) -> None:
    for spec in ("plain", {"use": "plain", "size": 7}, {"use": "outer", "inner": {"use": "plain", "share": "1e-3"}}):
        made = catalog.create(spec)
        # These components are somebody else's, so their description names the class in full.
        assert catalog.create(describe(made)) == made
    assert catalog.create({"use": "outer", "inner": "plain"}).inner.size == 3
    assert catalog.create({"use": "outer", "maybe": None}).maybe is None
    assert describe(catalog.create({"use": "plain", "size": 7})) == {
        "use": f"{catalog.package}.plain:Plain", "size": 7, "share": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"size": 3}, "here: a thing needs the key 'use' with one of: outer, plain"),
        ({"use": 3}, "here.use: expected a name, got 3"),
        (3, "here: expected a thing's name, or 'use' and parameters, got 3"),
        (None, "here: expected a thing's name"),
        ({"use": "plain", "sise": 3}, "here: unknown key 'sise'; did you mean 'size'? Known: share, size"),
        ({"use": "plain", "size": "many"}, "here.size: "),
        ({"use": "plain", "size": True}, "here.size: input should be a number, got True"),
        ({"use": "plain", "size": 0}, "here: size: must be at least 1, got 0"),
        ({"use": "outer", "inner": {"use": "plain", "size": 1.5}}, "here.inner.size: "),
        ({"use": "outer", "inner": 3}, "here.inner: expected a thing's name"),
        ({"use": "outer", "inner": None}, "here.inner: expected a thing's name"),
        ({"use": "outer", "inner": {"use": "plane"}}, "here.inner: unknown thing 'plane'; did you mean 'plain'?"),
        ({"use": "unfinished"}, "here: "),
        ({"use": "plain", 1: 2}, "here: unknown key '1'"),
    ],
)
def test_bad_specs_are_refused_with_their_place(catalog, spec, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        catalog.create(spec, place="here")
    assert str(caught.value).startswith(message)


def test_a_broken_import_is_not_hidden(catalog, tmp_path: Path) -> None:
    (Path(sys.modules[catalog.package].__path__[0]) / "broken.py").write_text("import no_such_library_xyz\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_library_xyz"):
        catalog.load("broken")
