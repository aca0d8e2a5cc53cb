from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ctrsel.core import config as c
from ctrsel.core.errors import ConfigError

GOOD = """
name: demo
data: {dataset: census_income}
schema:
  label: {name: label, positive: 1}
  ignore: [instance_weight]
  fields:
    age: {kind: numeric, bucket: none}
split: {use: hash, valid: 1e-1}
rank:
  - {use: mutual_information}
learners: {net: {use: net, width: 8}}
"""


@pytest.fixture
def load(tmp_path: Path):
    def at(text: str | bytes, **overrides: object) -> c.RunConfig:
        file = tmp_path / "run.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return c.load_config(file, overrides={k.replace("__", "."): v for k, v in overrides.items()})

    return at


def test_a_whole_file(load) -> None:
    got = load(GOOD)
    assert got.schema.label.positive == "1"  # a number may stand where a text is expected
    assert got.split.valid == 0.1  # YAML reads 1e-1 as text
    assert got.schema.fields["age"] == c.FieldConfig(kind="numeric", bucket="none")
    assert got.schema.ignore == ("instance_weight",)
    assert got.rank == ({"use": "mutual_information"},)
    assert got.learners["net"]["width"] == 8
    assert got.ingest == c.IngestConfig()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name: demo", "nmae: demo"), r"run\.yaml: unknown key 'nmae'; did you mean 'name'\? Known: audit, crosses, data, "),
        (("name: demo\n", ""), r"run\.yaml: the key 'name' is required"),
        (("label: {name: label, positive: 1}", "x: 1"), r"run\.yaml\.schema: unknown key 'x'"),
        (("label: {name: label, positive: 1}", ""), r"run\.yaml\.schema: the key 'label' is required"),
        (("kind: numeric", "kind: numerical"), r"run\.yaml\.schema\.fields\.age\.kind: .*'numeric'.*got 'numerical'"),
        (("bucket: none", "buket: none"), r"run\.yaml\.schema\.fields\.age: unknown key 'buket'; did you mean 'bucket'"),
        (("ignore: [instance_weight]", "ignore: instance_weight"), r"run\.yaml\.schema\.ignore: expected a list, got 'instance_weight'"),
        (("ignore: [instance_weight]", "ignore: [[a]]"), r"run\.yaml\.schema\.ignore\[0\]: .*got \['a'\]"),
        (("valid: 1e-1", "valid: some"), r"run\.yaml\.split\.valid: .*got 'some'"),
        (("valid: 1e-1", "valid: true"), r"run\.yaml\.split\.valid: .*number, got True"),
        (("valid: 1e-1", "valid: .nan"), r"run\.yaml\.split\.valid: .*finite"),
        (("valid: 1e-1", "valid: null"), r"run\.yaml\.split\.valid: .*got None"),
        (("split: {use: hash, valid: 1e-1}", "split: hash"), r"run\.yaml\.split: expected keys and values, got 'hash'"),
        (("split: {use: hash, valid: 1e-1}", "split:"), r"run\.yaml\.split: expected keys and values, got None"),
        (("  - {use: mutual_information}", "  - 3"), r"run\.yaml\.rank\[0\]: .*got 3"),
        (("    age: {kind: numeric, bucket: none}", "    age:"), r"run\.yaml\.schema\.fields\.age: expected keys and values"),
        (("  fields:\n    age: {kind: numeric, bucket: none}", "  fields: [age]"), r"run\.yaml\.schema\.fields: .*got \['age'\]"),
        (("name: demo", "name: demo\nseed: 1.5"), r"run\.yaml\.seed: .*got 1\.5"),
        (("name: demo", "name: [a"), r"run\.yaml: not valid YAML: "),
        (("name: demo", "3: 4\nname: demo"), r"run\.yaml: unknown key '3'"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(load, change: tuple[str, str], message: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(ConfigError, match=message) as caught:
        load(GOOD.replace(*change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("", "got NoneType"), ("- a", "got list"), ("a", "got str"), (b"\xff\xfe\x00", "UTF-8 text")]
)
def test_files_that_hold_no_config(load, text, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.yaml: no such config file"):
        c.load_config(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        c.load_config(tmp_path)


def test_overrides(load) -> None:
    got = load(GOOD, data__rows=1000, seed="7", split__use="group", audit__accept=["a"], learners__net__width=4)
    assert (got.data.rows, got.seed, got.split.use, got.audit.accept) == (1000, 7, "group", ("a",))
    assert got.learners["net"] == {"use": "net", "width": 4}
    assert load(GOOD.replace("split: {use: hash, valid: 1e-1}", "split:"), split__use="hash").split.use == "hash"
    with pytest.raises(ConfigError, match="'name' is a single value"):
        load(GOOD, name__x=1)
    with pytest.raises(ConfigError, match="unknown key 'rowz'; did you mean 'rows'"):
        load(GOOD, data__rowz=1)


@dataclass(frozen=True, kw_only=True)
class Deep:
    number: int = 1
    share: float = 0.5
    text: str = "a"
    flag: bool = False
    choice: Literal["a", "b"] = "a"
    many: tuple[int, ...] = ()
    named: dict[str, float] = field(default_factory=dict)
    inner: c.SplitConfig | None = None

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError(f"number: must not be negative, got {self.number}")


def test_a_date_of_yaml_is_a_text() -> None:
    for written, meant in (
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31 12:30:00", "2026-01-31T12:30:00"),
        ("149", "149"),
    ):
        told = yaml.safe_load(f"{{train: a.csv, as_of: {written}}}")
        assert c.build(c.DataConfig, told, place="data").as_of == meant


def test_build_of_every_kind_of_field() -> None:
    got = c.build(
        Deep,
        {"number": 3, "share": 1, "text": 5, "flag": True, "many": [1, 2], "named": {"x": 1}, "inner": {"use": "hash"}},
        place="p",
    )
    assert (got.share, got.text, got.many, got.named, got.inner) == (
        1.0,
        "5",
        (1, 2),
        {"x": 1.0},
        c.SplitConfig(use="hash"),
    )
    assert c.build(Deep, {"inner": c.SplitConfig()}, place="p").inner == c.SplitConfig()
    assert c.build(Deep, {"inner": None}, place="p") == Deep()


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"number": -1}, "p: number: must not be negative, got -1"),
        ({"number": None}, r"p\.number: "),
        ({"many": [1, "x"]}, r"p\.many\[1\]: .*got 'x'"),
        ({"many": "12"}, r"p\.many: expected a list"),
        ({"named": {"x": "y"}}, r"p\.named\.x: .*got 'y'"),
        ({"flag": 7}, r"p\.flag: .*got 7"),
        ({"text": ["a"]}, r"p\.text: "),
        ({"text": None}, r"p\.text: "),
        ({"choice": "c"}, r"p\.choice: .*'a' or 'b'"),
        ({"inner": 3}, r"p\.inner: expected keys and values, got 3"),
    ],
)
def test_build_refuses(given_, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        c.build(Deep, given_, place="p")


@given(
    st.dictionaries(
        st.text(max_size=6),
        st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
        max_size=5,
    )
)
def test_build_either_works_or_says_config_error(given_) -> None:
    # No set of these keys is a whole config: name, data and schema are required.
    with pytest.raises(ConfigError, match=r"^p"):
        c.build(c.RunConfig, given_, place="p")


def test_a_component_may_stand_by_its_bare_name():
    config = c.build(
        c.RunConfig,
        {
            "name": "n",
            "data": {"train": "a.csv"},
            "schema": {"label": {"name": "y"}},
            "rank": ["mrmr", {"use": "jmi", "k": 3}],
            "learners": {"trees": "boosted"},
        },
        place="run",
    )
    assert config.rank == ({"use": "mrmr"}, {"use": "jmi", "k": 3})
    assert config.learners == {"trees": {"use": "boosted"}}
