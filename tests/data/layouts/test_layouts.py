"""Each layout on tiny files of exactly its form; every row is invented."""

import dataclasses
import datetime as dt
import gzip
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ctrsel.core.config import DataConfig, FieldConfig, LabelConfig, SchemaConfig
from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.intake import open_raw
from ctrsel.data.layouts import CATALOG, layout_schema
from ctrsel.data.raw import RawRows
from ctrsel.data.rejects import Rejects

CRITEO = [
    ["1", "3", "-1", "", *"0123456789", *[f"{i:08x}" for i in range(25)], ""],
    ["0", "", "250", "7", *"9876543210", *[f"{i:08x}" for i in range(26)]],
]


def tabbed(rows: list[list[str]]) -> str:
    return "".join("\t".join(r) + "\n" for r in rows)


def opened(
    path: Path, format: str, scratch: Path, *, tolerance: float = 0.0, **settings: Any
) -> tuple[RawRows, Rejects]:
    rejects = Rejects(tolerance=tolerance)
    data = DataConfig(train=str(path), format=format, **settings)  # type: ignore[arg-type]
    return open_raw(data, rejects=rejects, scratch=scratch / "scratch", memory=1 << 30, digests=True), rejects


def rows(path: Path, format: str, scratch: Path, **settings: Any) -> pl.DataFrame:
    raw, _ = opened(path, format, scratch, **settings)
    return pl.concat([s.read(raw.columns) for s in raw.shards])


def schema(format: str, frame: pl.DataFrame, given: SchemaConfig | None = None) -> SchemaConfig:
    found = layout_schema(format, frame.columns, given)
    assert found is not None
    return found


def test_criteo(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(tabbed(CRITEO))
    for given in (tmp_path, tmp_path / "train.txt"):
        found = rows(given, "criteo", tmp_path)
        assert found.columns == ["label", *[f"I{i}" for i in range(1, 14)], *[f"C{i}" for i in range(1, 27)]]
        assert found["label"].to_list() == [1, 0]
        assert found["I1"].to_list() == [3, None]
        assert found["I2"].to_list() == [-1, 250]
        assert found["I3"].dtype == pl.Int64
        assert found["C1"].to_list() == ["00000000", "00000000"]
        assert found["C26"].to_list() == [None, "00000019"]
    known = schema("criteo", found)
    assert known.fields["I13"] == FieldConfig(kind="numeric", bucket="log2")
    assert known.fields["C26"].kind == "categorical"
    assert known.time is None


def test_criteo_days_are_times_and_may_be_packed(tmp_path: Path) -> None:
    for day in (0, 1):
        (tmp_path / f"day_{day}.gz").write_bytes(gzip.compress(tabbed(CRITEO).encode()))
    found = rows(tmp_path / "day_*.gz", "criteo", tmp_path)
    assert found["day"].to_list() == [0, 0, 1, 1]
    assert schema("criteo", found).time == "day"
    assert rows(tmp_path / "day_*.gz", "criteo", tmp_path, rows=3)["day"].to_list() == [0, 0, 1]


def test_faulty_lines_are_rejected_by_place(tmp_path: Path) -> None:
    good = ["\t".join(r) for r in CRITEO]
    lines = [good[0], "", "1\t2", good[1] + "\r", good[0].replace("1\t3", "2\t3", 1), good[0].replace("\t-1", "\tx", 1)]
    (tmp_path / "train.txt").write_bytes("\n".join(lines).encode() + b"\n1" + b"\xff".join([b""] * 3) + b"\n")
    with pytest.raises(DataError, match=r"train\.txt: line 3 must have 40 cells, got 2"):
        opened(tmp_path / "train.txt", "criteo", tmp_path)
    raw, rejects = opened(tmp_path / "train.txt", "criteo", tmp_path, tolerance=0.9)
    assert raw.n_rows == 2
    assert rejects.frame().select("row", "line", "reason").rows() == [
        (2, 3, "must have 40 cells, got 2"),
        (4, 5, "'label' must be 0 or 1, got '2'"),
        (5, 6, "'I2' must be a whole number or empty, got 'x'"),
        (6, 7, "must have 40 cells, got 1"),
    ]
    assert raw.place(0).endswith("train.txt: row 1")
    assert raw.place(1).endswith("train.txt: row 3")
    (tmp_path / "train.txt").write_bytes(good[0].encode().replace(b"00000003", b"\xff0000003") + b"\n")
    with pytest.raises(DataError, match=r"line 1 must be UTF-8 text, got byte 0xff at position"):
        opened(tmp_path / "train.txt", "criteo", tmp_path)


def test_long_files_are_read_in_blocks(tmp_path: Path) -> None:
    many = 9000
    text = "".join(tabbed([[str(i % 2), str(i), *CRITEO[0][2:]]]) for i in range(many))
    (tmp_path / "train.txt").write_text(text + "1\t2\n" + tabbed(CRITEO[:1]))
    rejects = Rejects(tolerance=0.5)
    data = DataConfig(train=str(tmp_path / "train.txt"), format="criteo")
    raw = open_raw(data, rejects=rejects, scratch=tmp_path / "s", memory=1 << 20)
    assert len(text) > 2 << 20  # so that there are several blocks
    assert [v for c in raw.chunks("I1") for v in c] == [*range(many), 3]
    assert rejects.frame().select("row", "line").rows() == [(many + 1, many + 1)]


AVAZU = (
    "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,device_id,device_ip,"
    "device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21\n"
    "1000009418151094273,0,14102100,1005,0,s1,d1,c1,a1,e1,f1,i1,p1,m1,1,2,15706,320,50,1722,0,35,-1,79\n"
    "10000169349117863715,1,14102523,1005,1,s2,d2,c2,a2,e2,f2,i2,p2,m2,1,0,15704,320,50,1722,0,35,100084,79\n"
)


def test_avazu(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(AVAZU)
    found = rows(tmp_path, "avazu", tmp_path)
    assert found["click"].to_list() == [0, 1]
    assert found["time"].to_list() == [dt.datetime(2014, 10, 21, 0), dt.datetime(2014, 10, 25, 23)]
    assert found["hour"].to_list() == [0, 23]
    assert found["weekday"].to_list() == [1, 5]  # a Tuesday and a Saturday
    assert found["is_weekend"].to_list() == [0, 1]
    assert "id" not in found.columns
    known = schema("avazu", found)
    assert len(known.fields) == 24
    assert {f.kind for f in known.fields.values()} == {"categorical"}
    assert (known.label.name, known.time) == ("click", "time")
    for was, now, message in (
        ("14102523", "14102524", r"line 3 'hour' must be YYMMDDHH, got '14102524'"),
        ("14102523", "14023023", r"line 3 'hour' must be YYMMDDHH"),  # there is no such day
        (",click,", ",klick,", r"train\.csv: line 1 must name the column 'click'"),
        ("C14", "C15", r"the header names the column 'C15' twice"),
    ):
        (tmp_path / "train.csv").write_text(AVAZU.replace(was, now, 1))
        with pytest.raises(DataError, match=message):
            rows(tmp_path, "avazu", tmp_path)


def kdd12(folder: Path) -> None:
    (folder / "training.txt").write_text(
        tabbed([["1", "3", "url", "ad1", "v1", "2", "1", "q1", "k1", "t1", "d1", "u1"], ["0", "1", *"abcdefghij"]])
    )


def test_kdd12(tmp_path: Path) -> None:
    kdd12(tmp_path)
    found = rows(tmp_path, "kdd12", tmp_path)
    assert found["click"].to_list() == [1, 0, 0, 0]  # an impression is a row
    assert found["ad_id"].to_list() == ["ad1", "ad1", "ad1", "b"]
    assert found["user_id"].to_list() == ["u1", "u1", "u1", "j"]
    assert found.width == 11
    (tmp_path / "userid_profile.txt").write_text("u1\t1\t5\nu1\t2\t2\nu9\t2\t3\n")
    (tmp_path / "titleid_tokensid.txt").write_text("h\t7|8|7\nt1\t9\n")
    more = rows(tmp_path, "kdd12", tmp_path)
    assert more["gender"].to_list() == ["1", "1", "1", None]
    assert more["age"].to_list() == ["5", "5", "5", None]
    assert more["title_words"].to_list() == [["9"], ["9"], ["9"], ["7", "8", "7"]]
    assert schema("kdd12", more).fields["title_words"].kind == "multivalued"
    one, two = (opened(tmp_path, "kdd12", tmp_path)[0].shards[0].digest for _ in range(2))
    assert one == two
    (tmp_path / "titleid_tokensid.txt").write_text("h\t7\n")
    assert opened(tmp_path, "kdd12", tmp_path)[0].shards[0].digest != one
    (tmp_path / "titleid_tokensid.txt").write_text("h\n")
    with pytest.raises(DataError, match=r"titleid_tokensid\.txt: line 1 must have 2 cells, got 1"):
        rows(tmp_path, "kdd12", tmp_path, tolerance=0.5)
    (tmp_path / "titleid_tokensid.txt").unlink()
    (tmp_path / "training.txt").write_text(tabbed([["4", "3", *"abcdefghij"]]))
    with pytest.raises(DataError, match="line 1 'click' must be at most the impressions, got '4'"):
        rows(tmp_path, "kdd12", tmp_path)


def test_movielens_1m(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::10::5::978300760\n2::11::3::978300761\n1::11::4::978300762\n")
    alone = rows(tmp_path, "movielens", tmp_path)
    assert alone.columns == ["label", "user", "item", "time"]
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    (tmp_path / "movies.dat").write_bytes("10::Café (1995)::Comedy|Drama\n11::Two (1996)::Action\n".encode("latin-1"))
    found = rows(tmp_path / "ratings.dat", "movielens", tmp_path)
    assert found["label"].to_list() == [1, 0, 1]
    assert found["time"][0] == dt.datetime(2000, 12, 31, 22, 12, 40)
    assert found["gender"].to_list() == ["F", "M", "F"]
    assert found["genres"].to_list() == [["Comedy", "Drama"], ["Action"], ["Action"]]
    assert "rating" not in found.columns  # it would be a leak
    known = schema("movielens", found)
    assert (known.group, known.time, known.fields["genres"].kind) == ("user", "time", "multivalued")
    assert "user" in known.fields


def test_movielens_100k(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("196\t242\t3\t881250949\n186\t302\t4\t891717742\n")
    (tmp_path / "u.user").write_text("196|49|M|writer|55105\n186|39|F|executive|00000\n")
    (tmp_path / "u.genre").write_text("unknown|0\nAction|1\nComedy|2\n\n")
    (tmp_path / "u.item").write_bytes(
        "242|Café (1997)|01-Jan-1997||http://x/|0|1|1\n302|B (1997)|01-Jan-1997||http://y/|0|0|0\n".encode("latin-1")
    )
    found = rows(tmp_path, "movielens", tmp_path)
    assert found["label"].to_list() == [0, 1]
    assert found["age"].to_list() == ["49", "39"]
    assert found["genres"].to_list() == [["Action", "Comedy"], []]


def test_movielens_latest(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,3.5,964982703\n1,3,3.0,964981247\n")
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\n1,"President, The (1995)",Comedy|Drama\n3,X (1994),(no genres listed)\n'
    )
    found = rows(tmp_path, "movielens", tmp_path)
    assert found["label"].to_list() == [1, 0]
    assert found["genres"].to_list() == [["Comedy", "Drama"], []]
    (tmp_path / "x1.csv").write_text("label,user_id,item_id,tag_id\n1.0,5,6,7\n0.0,5,8,7\n")
    published = rows(tmp_path / "x1.csv", "movielens", tmp_path)
    assert published.rows() == [(1, "5", "6", "7"), (0, "5", "8", "7")]
    assert schema("movielens", published).time is None


FRAPPE = ["user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city"]


def test_frappe_libfm(tmp_path: Path) -> None:
    for negative in ("-1", "0"):
        (tmp_path / "train.libfm").write_text(
            f"1 {' '.join(f'{i}:1' for i in range(10))}\n{negative} {' '.join(f'{i}:1' for i in range(5, 15))}\n"
        )
        found = rows(tmp_path / "train.libfm", "frappe", tmp_path)
        assert found.columns == ["label", *FRAPPE]
        assert found["label"].to_list() == [1, 0]
        assert found["city"].to_list() == ["9", "14"]
    (tmp_path / "train.libfm").write_text(f"1 {' '.join(f'{i}:2' for i in range(10))}\n")
    with pytest.raises(DataError, match="line 1 'user' must be a pair `index:1`, got '0:2'"):
        rows(tmp_path / "train.libfm", "frappe", tmp_path)


def test_frappe_uses_get_negatives(tmp_path: Path) -> None:
    header = [
        "user",
        "item",
        "cnt",
        "daytime",
        "weekday",
        "isweekend",
        "homework",
        "cost",
        "weather",
        "country",
        "city",
    ]
    uses = [
        [str(i % 3), str(i % 7), "9", "morning", "sunday", "weekend", "unknown", "free", "sunny", "X", str(i)]
        for i in range(6)
    ]
    (tmp_path / "frappe.csv").write_text(tabbed([header, *uses]))
    found = rows(tmp_path, "frappe", tmp_path)
    assert found.columns == ["label", *FRAPPE]
    assert found["label"].to_list() == [1, 0, 0] * 6
    assert found.filter(label=1)["item"].to_list() == [u[1] for u in uses]
    used = {(u[0], u[1]) for u in uses}
    assert not used & set(found.filter(label=0).select("user", "item").rows())
    assert found["city"].to_list() == [u[-1] for u in uses for _ in range(3)]  # in the same context
    assert rows(tmp_path, "frappe", tmp_path).equals(found)
    (tmp_path / "frappe.csv").write_text(tabbed([header, uses[0]]))
    with pytest.raises(DataError, match="user '0' has used nearly all apps"):
        rows(tmp_path, "frappe", tmp_path)
    (tmp_path / "x1.csv").write_text(f"label,{','.join(FRAPPE)}\n1,{','.join('abcdefghij')}\n")
    assert rows(tmp_path / "x1.csv", "frappe", tmp_path).rows() == [(1, *"abcdefghij")]


def bandit(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "all.csv").write_text(
        ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,user-item_affinity_0\n"
        "0,2019-11-24 00:00:00.004101+00:00,79,2,0,0.0125,aa,bb,0.0\n"
        "1,2019-11-24 00:00:00.015176+00:00,14,1,1,1e-05,aa,cc,1.0\n"
    )
    (folder / "item_context.csv").write_text(",item_id,item_feature_0,item_feature_1\n0,14,-0.67,xx\n1,79,0.5,yy\n")


def test_open_bandit(tmp_path: Path) -> None:
    bandit(tmp_path / "random" / "all")
    bandit(tmp_path / "bts" / "all")
    found = rows(tmp_path / "random" / "all", "openbandit", tmp_path)
    assert found["click"].to_list() == [0, 1]
    assert found["item"].to_list() == ["79", "14"]
    assert found["item_feature_0"].to_list() == [0.5, -0.67]
    assert found["item_feature_1"].to_list() == ["yy", "xx"]
    assert found["time"][0] == dt.datetime(2019, 11, 24, 0, 0, 0, 4101, tzinfo=dt.UTC)
    assert found["policy"].to_list() == ["random"] * 2
    assert not [c for c in found.columns if "affinity" in c]
    both = rows(tmp_path / "*" / "all" / "all.csv", "openbandit", tmp_path)
    assert both["policy"].to_list() == ["bts"] * 2 + ["random"] * 2
    known = schema("openbandit", found)
    assert known.ignore == ("policy", "propensity_score")
    assert known.fields["item_feature_0"].kind == "numeric"
    with pytest.raises(
        DataError, match=r"random: the folder must hold one of all\.csv, men\.csv, women\.csv, but it has none"
    ):
        rows(tmp_path / "random", "openbandit", tmp_path)


def test_the_users_word_goes_before_the_layouts(tmp_path: Path) -> None:
    bandit(tmp_path / "random" / "all")
    found = rows(tmp_path / "random" / "all", "openbandit", tmp_path)
    label = LabelConfig(name="click")
    plain = schema("openbandit", found, SchemaConfig(label=label))
    assert plain == schema("openbandit", found)
    mine = schema(
        "openbandit",
        found,
        SchemaConfig(
            label=label,
            fields={
                "policy": FieldConfig(),
                "position": FieldConfig(cost=2.0),
                "item_feature_0": FieldConfig(kind="categorical"),
            },
            ignore=("user_feature_0",),
            weight="propensity_score",
        ),
    )
    assert mine.ignore == ("user_feature_0",)
    assert mine.fields["position"] == FieldConfig(kind="categorical", cost=2.0)
    assert mine.fields["item_feature_0"] == FieldConfig(kind="categorical")
    assert "policy" in mine.fields
    assert "user_feature_0" not in mine.fields
    assert (mine.weight, mine.time) == ("propensity_score", "time")
    other = schema("openbandit", found, SchemaConfig(label=LabelConfig(name="position", positive="1")))
    assert "click" in other.ignore  # the layout's label would tell too much
    assert "position" not in other.fields
    few = schema("openbandit", found, SchemaConfig(label=label, infer=False, fields={"item": FieldConfig()}))
    assert list(few.fields) == ["item"]
    as_field = schema("openbandit", found, SchemaConfig(label=label, fields={"time": FieldConfig(kind="numeric")}))
    assert as_field.time is None
    assert layout_schema("csv", found.columns, plain) is plain


def test_an_original_layout_is_read_from_this_machine(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="an original layout is read from files of this machine"):
        open_raw(
            DataConfig(train="s3://bucket/train.txt", format="criteo"), rejects=Rejects(), scratch=tmp_path, memory=1
        )


EXAMPLES: dict[str, Callable[[Path], object]] = {
    "avazu": lambda folder: (folder / "train.csv").write_text(AVAZU),
    "criteo": lambda folder: (folder / "train.txt").write_text(tabbed(CRITEO)),
    "frappe": lambda folder: (folder / "frappe.csv").write_text(
        tabbed([["cnt", *FRAPPE], *[["1", "u", app, *"abcdefgh"] for app in "xy"], ["1", "v", "z", *"abcdefgh"]])
    ),
    "kdd12": kdd12,
    "movielens": lambda folder: (folder / "u.data").write_text("1\t2\t3\t881250949\n2\t2\t4\t881250950\n"),
    "openbandit": bandit,
}


@pytest.mark.parametrize("name", CATALOG.names())
def test_every_layout_keeps_the_contract(name: str, tmp_path: Path) -> None:
    assert name in EXAMPLES, "write down a tiny copy of the layout's files in this file"
    assert name in typing.get_args(typing.get_type_hints(DataConfig)["format"])
    layout = CATALOG.create(name)
    assert not dataclasses.fields(typing.cast("Any", layout))
    folder = tmp_path / "copy"
    folder.mkdir()
    EXAMPLES[name](folder)
    found = rows(folder, name, tmp_path)
    assert rows(folder, name, tmp_path).equals(found)
    assert rows(folder, name, tmp_path, rows=1).equals(found.head(1))
    known = schema(name, found)
    assert set(found[known.label.name].to_list()) == {0, 1}
    named = {known.label.name, *known.fields, *known.ignore, *filter(None, (known.time, known.group, known.weight))}
    assert named == set(found.columns)  # nothing is left to be guessed
    assert all(f.kind is not None for f in known.fields.values())
    assert layout.schema([]).label == known.label
    assert {c for c in found.columns if found[c].dtype == pl.String and (found[c] == "").any()} == set()
    [main] = layout.files(str(folder))
    main.write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty"):
        rows(folder, name, tmp_path)
