"""Layouts: the original files of published data sets, one file of code each, with their customary preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

from ctrsel.core.catalog import Catalog
from ctrsel.core.config import FieldConfig, LabelConfig, SchemaConfig
from ctrsel.data.layouts._contract import Layout
from ctrsel.data.layouts._opening import open_with
from ctrsel.data.layouts._reading import LayoutReader, Rule

if TYPE_CHECKING:
    from ctrsel.data.intake import Intake
    from ctrsel.data.raw import Shard

__all__ = ["CATALOG", "Layout", "LayoutReader", "Rule", "layout_schema", "open_layout"]

T = TypeVar("T", LabelConfig, FieldConfig)
CATALOG: Catalog[Layout] = Catalog(__name__, Layout, "layout")


def open_layout(pattern: str, *, intake: Intake, part: str) -> list[Shard]:
    """Open the rows of the layout that the intake's format names."""
    return open_with(CATALOG.create(intake.format), pattern, intake=intake, part=part)


def layout_schema(format: str, columns: Sequence[str], given: SchemaConfig | None = None) -> SchemaConfig | None:
    """Return the schema of a source: what the user says, completed by what its layout knows.

    The user's word goes before the layout's, key by key. A column that the layout ignores becomes a field if the user
    names it in `fields`. The layout's own label is ignored if the user chose another one, since it would tell it.

    Args:
        format: As in `DataConfig.format`; one that is no layout adds nothing.
        columns: Of the source.
        given: What the user says.

    Examples:
        >>> schema = layout_schema("criteo", ["label", "I1", "C1"])
        >>> schema.label.name, schema.fields["I1"].bucket, schema.fields["C1"].kind
        ('label', 'log2', 'categorical')
    """
    if format not in CATALOG.names():
        return given
    known = CATALOG.load(format)().schema(columns)
    return known if given is None else _merged(given, known)


def _merged(given: SchemaConfig, known: SchemaConfig) -> SchemaConfig:
    label = _filled(given.label, known.label) if given.label.name == known.label.name else given.label
    named = {label.name, given.time, given.group, given.weight, *given.fields, *given.ignore}
    time, weight = (
        getattr(given, role) or (own if (own := getattr(known, role)) not in named else None)
        for role in ("time", "weight")
    )
    group = given.group or (known.group if known.group not in (label.name, time, weight) else None)
    ignored = [c for c in known.ignore if c not in {*named, time, weight, group}]
    if label.name != known.label.name and known.label.name not in named:
        ignored.append(known.label.name)
    ignore = (*given.ignore, *ignored)
    taken = {label.name, time, weight, *ignore}
    names = [*known.fields, *(n for n in given.fields if n not in known.fields)] if given.infer else list(given.fields)
    found = {
        n: _filled(given.fields.get(n, FieldConfig()), known.fields.get(n, FieldConfig()))
        for n in names
        if n in given.fields or n not in taken
    }
    return replace(given, label=label, fields=found, ignore=ignore, time=time, group=group, weight=weight)


def _filled(given: T, known: T) -> T:
    """Fill what is left at its default, unless the user says that it is of another kind."""
    if isinstance(given, FieldConfig) and given.kind is not None and given.kind != getattr(known, "kind", None):
        return given
    chosen = {f.name: getattr(given, f.name) for f in fields(given) if getattr(given, f.name) != f.default}
    return replace(known, **chosen)
