"""SQL form: a feature set as one SELECT in standard SQL, whose rows are those that `AppliedFeatureSet.transform` makes.

Only what SQLite, DuckDB and PostgreSQL have in common is used: CAST, CASE, VALUES, LEFT JOIN, `||`. Names stand in double
quotes and texts in single ones, each doubled inside, and nothing from the data stands anywhere else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from ctrsel.core.errors import ConfigError, DataError
from ctrsel.data.applied import AppliedFeatureSet
from ctrsel.data.canonical import canonical_text
from ctrsel.data.cross_texts import ABSENT, SEPARATOR, escaped, split_text
from ctrsel.data.ranges import bucket_ranges
from ctrsel.records.schema import Field

__all__ = ["INLINE", "raw_texts", "to_sql", "without_fields"]

INLINE = 64  # texts of a field that stand in a CASE; more are a table of their own, which is joined
_A_LINE = 8  # texts
_NOT_NUMBERS = ("", "nan", "+nan", "-nan")
_ENDS = {"low": ("-inf", "-infinity"), "high": ("inf", "+inf", "infinity", "+infinity")}
_FLOAT32 = "3.4028235677973366e+38"  # the first number that float32 rounds to infinity
_HEAD = """-- Kept fields and values of a ctrsel feature set: NULL is missing, {other} any value that is not kept.
-- Standard SQL: a backslash in a text is a character like others, and comparing texts tells case apart.
"""


def to_sql(applied: AppliedFeatureSet, *, table: str, keep: Sequence[str] = (), inline: int = INLINE) -> str:
    """Return a SELECT of the kept columns.

    Texts and whole numbers are compared as texts, numbers of bucketed fields as numbers.

    Args:
        applied: The feature set.
        table: Where the raw rows are; parts of a qualified name are parted by dots.
        keep: Columns that are passed on as they are, such as an id and the label.
        inline: Fields of more texts than this are joined with a table of their texts.

    Raises:
        ConfigError: If a field has hash buckets or lists, for which SQL has no common form, or a column would come twice.
        DataError: If a kept text holds the character NUL, which no SQL text can.

    Examples:
        >>> from ctrsel.records.feature_set import FeatureSet
        >>> from ctrsel.testing.tables import tiny_table
        >>> encoder = tiny_table().encoder
        >>> site = {"site": encoder.vocabulary("site").counts >= 73}
        >>> features = FeatureSet.from_keep(site, fields=("site",), method="toy", params={}, encoder=encoder.digest)
        >>> print(to_sql(AppliedFeatureSet.of(features, encoder), table="log.clicks", keep=["click"]))
        -- Kept fields and values of a ctrsel feature set: NULL is missing, '(other)' any value that is not kept.
        -- Standard SQL: a backslash in a text is a character like others, and comparing texts tells case apart.
        SELECT
          r."click" AS "click",
          CASE
            WHEN COALESCE(CAST(r."site" AS VARCHAR), '') = '' THEN NULL
            WHEN CAST(r."site" AS VARCHAR) IN ('site0', 'site3') THEN CAST(r."site" AS VARCHAR)
            ELSE '(other)'
          END AS "site"
        FROM "log"."clicks" AS r
        <BLANKLINE>
    """
    fields = applied.encoder.fields
    for f in fields:
        if f.is_list or f.hash_buckets is not None:
            what = "holds a list in a row" if f.is_list else "has hash buckets"
            raise ConfigError(
                f"field {f.name!r}: {what}, for which databases have no common form; leave it out (--without), or export "
                "to polars or sklearn"
            )
    for i, name in enumerate(keep):
        if name in applied.encoder.schema.names:
            raise ConfigError(f"keep: {name!r} is a kept field and would come twice")
        if name in keep[:i]:
            raise ConfigError(f"keep: {name!r} is named twice")
    if not all(table.split(".")):
        raise ConfigError(f"table: expected a name, or names with dots between them, got {table!r}")
    return _Query(applied=applied, inline=inline).text(table, keep=keep)


def without_fields(applied: AppliedFeatureSet, names: Sequence[str]) -> AppliedFeatureSet:
    """Leave fields out.

    Raises:
        ConfigError: If a field is not kept, or none is left.
    """
    from dataclasses import replace

    from ctrsel.core.errors import unknown_name

    known = applied.encoder.schema.names
    for name in names:
        if name not in known:
            raise unknown_name("kept field", name, known, place="--without")
    left = tuple(n for n in known if n not in names)
    if not left:
        raise ConfigError("--without: leaves no field")
    schema = applied.encoder.schema.only(left)
    used = {f.vocabulary for f in schema.fields if not f.is_float}
    encoder = replace(
        applied.encoder,
        schema=schema,
        vocabularies={k: v for k, v in applied.encoder.vocabularies.items() if k in used},
    )
    return replace(applied, encoder=encoder, leads={k: v for k, v in applied.leads.items() if k in used})


@dataclass(kw_only=True)
class _Query:
    """One query under construction.

    Attributes:
        applied: The feature set.
        inline: See `to_sql`.
        tables: Tables of texts, by what they map.
        joins: Joins of the rows being written.
    """

    applied: AppliedFeatureSet
    inline: int
    tables: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)
    joins: list[str] = field(default_factory=list)

    def text(self, table: str, *, keep: Sequence[str]) -> str:
        schema = self.applied.encoder.schema
        source = ".".join(_name(part) for part in table.split("."))
        crosses = {f.name: f for f in schema.crosses}
        if crosses:
            # Joint texts are made first, each once.
            raw = dict.fromkeys((*keep, *(f.name for f in schema.inputs)))
            joint, number = {}, 0
            for name in crosses:
                while f"joint {number}" in raw:
                    number += 1
                joint[name], number = f"joint {number}", number + 1
            made = [f"r.{_name(n)} AS {_name(n)}" for n in raw]
            made += [f"{self._joint(f)} AS {_name(joint[n])}" for n, f in crosses.items()]
            inner = _select(made, source, self.joins)
            self.joins, source = [], _name("joint rows")
        else:
            joint, inner = {}, ""
        columns = [f"r.{_name(n)} AS {_name(n)}" for n in keep]
        columns += [f"{self._column(f, joint.get(f.name))} AS {_name(f.name)}" for f in schema.fields]
        outer = _select(columns, source, self.joins)
        parts = [f'{name} ("raw", "kept") AS (\n{_values(pairs)}\n)' for pairs, name in self.tables.items()]
        if inner:
            parts.append(f"{_name('joint rows')} AS (\n{inner})")
        head = _HEAD.format(other=_literal("(other)") if self._plain else "another text")
        return head + (f"WITH {', '.join(parts)}\n" if parts else "") + outer

    @property
    def _plain(self) -> bool:
        return self.applied.other_text == "(other)"

    def _column(self, f: Field, joint: str | None) -> str:
        other = _literal(self.applied.other_text)
        if f.is_float:
            number = f"CAST(r.{_name(f.name)} AS DOUBLE PRECISION)"
            none = (*_NOT_NUMBERS, *_ENDS["low"], *_ENDS["high"])
            return _case(
                [(f"{_spelled(f.name)} IN ({_list(none)})", "NULL"), (f"ABS({number}) < {_FLOAT32}", number)], "NULL"
            )
        kept = self.applied.kept_as(f.name)
        if f.kind == "numeric":
            ranges = bucket_ranges(list(kept), edges=self.applied.encoder.edges.get(f.name))
            return _ranged(f.name, kept, ranges, missing="NULL", other=other)
        if joint is not None:
            key, absent = f"r.{_name(joint)}", SEPARATOR.join([ABSENT] * len(f.parts))
            return self._lookup(key, kept, missing=f"{key} = {_literal(absent)}", absent="NULL", other=other)
        key = f"CAST(r.{_name(f.name)} AS VARCHAR)"
        return self._lookup(key, _with_raw(kept), missing=f"COALESCE({key}, '') = ''", absent="NULL", other=other)

    def _joint(self, f: Field) -> str:
        """Return the joint text of a cross; NULL where a part's text is in none that is kept."""
        texts = self.applied.encoder.vocabularies[f.vocabulary].values.to_list()
        split = [split_text(t) for t in texts]
        pieces = []
        for i, part in enumerate(f.parts):
            own = sorted({s[i] for s in split} - {None}, key=str)
            known = pl.Series([t for t in own if t is not None], dtype=pl.String)
            written = known.to_frame("t").select(escaped(pl.col("t"))).to_series().to_list()
            piece = dict(zip(known.to_list(), written, strict=True))
            if self.applied.encoder.schema.input(part).kind == "numeric":
                ranges = bucket_ranges(list(piece), edges=self.applied.encoder.edges.get(part))
                pieces.append(_ranged(part, piece, ranges, missing=_literal(ABSENT), other="NULL"))
                continue
            key = f"CAST(r.{_name(part)} AS VARCHAR)"
            missing = f"COALESCE({key}, '') = ''"
            pieces.append(self._lookup(key, _with_raw(piece), missing=missing, absent=_literal(ABSENT), other="NULL"))
        return f" || {_literal(SEPARATOR)} || ".join(pieces)

    def _lookup(self, key: str, kept: Mapping[str, str], *, missing: str, absent: str, other: str) -> str:
        """Return what a text becomes: by CASE, or of many texts by a join."""
        if len(kept) <= self.inline:
            same = [t for t, k in kept.items() if t == k]
            cases = [(missing, absent)]
            if same:
                cases.append((f"{key} IN ({_list(same)})", key))
            groups: dict[str, list[str]] = {}
            for t, k in kept.items():
                if t != k:
                    groups.setdefault(k, []).append(t)
            cases += [(f"{key} IN ({_list(texts)})", _literal(k)) for k, texts in groups.items()]
            return _case(cases, other)
        pairs = tuple(kept.items())
        table = self.tables.setdefault(pairs, _name(f"kept {len(self.tables)}"))
        alias = f"k{len(self.joins)}"
        self.joins.append(f'LEFT JOIN {table} AS {alias} ON {alias}."raw" = {key}')
        return _case([(missing, absent), (f'{alias}."kept" IS NOT NULL', f'{alias}."kept"')], other)


def raw_texts(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return the raw texts that have each canonical text, with it: itself, and a whole number with ".0" as well.

    Examples:
        >>> raw_texts(["3", "a", "0"])
        [('3', '3'), ('a', 'a'), ('0', '0'), ('3.0', '3'), ('0.0', '0'), ('-0.0', '0')]
    """
    whole = [(f"{t}.0", t) for t in texts if re.fullmatch(r"-?[0-9]{1,16}", t)]
    whole += [("-0.0", "0")] if "0" in texts else []
    canonical = canonical_text(pl.Series([r for r, _ in whole], dtype=pl.String)).to_list()
    return [(t, t) for t in texts] + [(r, t) for (r, t), c in zip(whole, canonical, strict=True) if c == t]


def _with_raw(kept: Mapping[str, str]) -> dict[str, str]:
    raw = {raw: kept[text] for raw, text in raw_texts(list(kept))}
    if kept and set(kept) <= {"true", "false"}:  # SQLite keeps a boolean as a number
        raw |= {number: kept[text] for number, text in (("1", "true"), ("0", "false")) if text in kept}
    return raw


def _ranged(
    column: str,
    kept: Mapping[str, str],
    ranges: Mapping[str, tuple[float, float]],
    *,
    missing: str,
    other: str,
) -> str:
    """Return what a number becomes, given the range of each kept bucket."""
    spelled, number = _spelled(column), f"CAST(r.{_name(column)} AS DOUBLE PRECISION)"
    low = next((_literal(kept[t]) for t, (a, _b) in ranges.items() if a == -math.inf), other)
    high = next((_literal(kept[t]) for t, (_a, b) in ranges.items() if b == math.inf), other)
    cases = [
        (f"r.{_name(column)} IS NULL OR {spelled} IN ({_list(_NOT_NUMBERS)})", missing),
        (f"{spelled} IN ({_list(_ENDS['low'])})", low),
        (f"{spelled} IN ({_list(_ENDS['high'])})", high),
    ]
    at, last = -math.inf, other
    for text, (start, end) in sorted(ranges.items(), key=lambda item: item[1]):
        if start > at:
            cases.append((f"{number} < {start!r}", other))
        if end == math.inf:
            last = _literal(kept[text])
        else:
            cases.append((f"{number} < {end!r}", _literal(kept[text])))
        at = end
    return _case(cases, last)


def _spelled(column: str) -> str:
    return f"LOWER(TRIM(CAST(r.{_name(column)} AS VARCHAR)))"


def _case(cases: Sequence[tuple[str, str]], otherwise: str) -> str:
    lines = "".join(f"\n    WHEN {condition} THEN {result}" for condition, result in cases)
    return f"CASE{lines}\n    ELSE {otherwise}\n  END"


def _select(columns: Sequence[str], source: str, joins: Sequence[str]) -> str:
    return "SELECT\n  " + ",\n  ".join(columns) + "\n" + "\n".join([f"FROM {source} AS r", *joins]) + "\n"


def _values(pairs: Sequence[tuple[str, str]]) -> str:
    return "  VALUES\n" + ",\n".join(f"    ({_literal(raw)}, {_literal(kept)})" for raw, kept in pairs)


def _list(texts: Sequence[str]) -> str:
    lines = [", ".join(map(_literal, texts[i : i + _A_LINE])) for i in range(0, len(texts), _A_LINE)]
    return ",\n      ".join(lines)


def _name(text: str) -> str:
    return '"' + _checked(text).replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + _checked(text).replace("'", "''") + "'"


def _checked(text: str) -> str:
    if "\x00" in text:
        raise DataError(
            "a kept text or a column's name holds the character NUL, which no SQL text can; drop that value"
        )
    return text
