"""Source: what a command works on, a config or bare data with flags, which are names for the config's own keys."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctrsel.core.errors import ConfigError

if TYPE_CHECKING:
    from ctrsel.cli.work import Work
    from ctrsel.core.config import RunConfig

__all__ = ["Source", "settings"]

_PANEL = "What the data are (with a config: in place of its keys)"


def settings(given: list[str]) -> dict[str, Any]:
    """Read `key=value` settings; values are YAML ("true", "0.5", "[a, b]").

    Examples:
        >>> settings(["data.rows=1000", "schema.ignore=[id]"])
        {'data.rows': 1000, 'schema.ignore': ['id']}
    """
    import yaml

    found: dict[str, Any] = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set: expected key=value, got {item!r}")
        try:
            found[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {key}: the value is not valid YAML: {value!r}") from error
    return found


_FLAGS = {
    "schema.label.name": "--label",
    "schema.label.positive": "--positive",
    "data.valid": "--valid",
    "data.test": "--test",
    "data.format": "--format",
    "data.encoding": "--encoding",
    "data.connection": "--connection",
    "schema.ignore": "--ignore",
    "split.use": "--split",
    "schema.time": "--time",
    "schema.group": "--group",
    "schema.weight": "--weight",
    "ingest.min_count": "--min-count",
    "data.as_of": "--as-of",
    "ingest.tolerance": "--tolerance",
    "data.rows": "--rows",
    "audit.accept": "--accept",
    "seed": "--seed",
}
"""Keys of a config that have an option of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A config, or bare data."""

    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA|CONFIG",
            help="A file or a quoted pattern (csv, tsv, ndjson, parquet, ipc, libsvm, libfm), a URI (s3://, https://), "
            "a Delta table, a query (--format sql), a folder written by 'ctrsel ingest', or a config (.yaml).",
            show_default=False,
        ),
    ] = None
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="A config, in place of DATA.", show_default=False)
    ] = None
    label: Annotated[
        str | None,
        typer.Option("--label", "-l", help="The label column.", rich_help_panel=_PANEL, show_default=False),
    ] = None
    positive: Annotated[
        str | None,
        typer.Option(help="Its positive value; known for 0/1, yes/no, ...", rich_help_panel=_PANEL, show_default=False),
    ] = None
    valid: Annotated[
        str | None, typer.Option(help="Validation file, else carved out.", rich_help_panel=_PANEL, show_default=False)
    ] = None
    test: Annotated[
        str | None, typer.Option(help="Test file, else carved out.", rich_help_panel=_PANEL, show_default=False)
    ] = None
    format: Annotated[
        str | None,
        typer.Option(
            help="If the ending does not say: csv, ..., delta, sql, or an original layout (criteo, avazu, kdd12, "
            "movielens, frappe, openbandit).",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None
    encoding: Annotated[
        str | None, typer.Option(help="Of text files (utf-8).", rich_help_panel=_PANEL, show_default=False)
    ] = None
    connection: Annotated[
        str | None,
        typer.Option(
            help="For sql: the environment variable that holds the URI.", rich_help_panel=_PANEL, show_default=False
        ),
    ] = None
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="A column that is no field; repeatable.", rich_help_panel=_PANEL, show_default=False),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(
            help="How rows are divided: stratified, hash, time or group.", rich_help_panel=_PANEL, show_default=False
        ),
    ] = None
    time: Annotated[str | None, typer.Option(help="The time column.", rich_help_panel=_PANEL, show_default=False)] = (
        None
    )
    group: Annotated[
        str | None, typer.Option(help="The group column (user, query).", rich_help_panel=_PANEL, show_default=False)
    ] = None
    weight: Annotated[
        str | None, typer.Option(help="The row weight column.", rich_help_panel=_PANEL, show_default=False)
    ] = None
    min_count: Annotated[
        int | None,
        typer.Option(help="Rarer values become 'other'.", rich_help_panel=_PANEL, show_default=False),
    ] = None
    as_of: Annotated[
        str | None,
        typer.Option(
            help="Rows after this time do not exist yet (needs a time column).",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None
    tolerance: Annotated[
        float | None,
        typer.Option(help="Share of the rows that may be rejected (0).", rich_help_panel=_PANEL, show_default=False),
    ] = None
    rows: Annotated[
        int | None,
        typer.Option(help="Read at most so many rows of a file.", rich_help_panel=_PANEL, show_default=False),
    ] = None
    accept: Annotated[
        list[str] | None,
        typer.Option(
            help="A field whose suspected leak is known; repeatable.", rich_help_panel=_PANEL, show_default=False
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(help="Of everything drawn (1).", rich_help_panel=_PANEL, show_default=False),
    ] = None
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any key of a config, such as learners.net.width=8; repeatable.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None

    def overrides(self) -> dict[str, Any]:
        """Return the flags as dotted keys of a config."""
        flags = {key: getattr(self, flag[2:].replace("-", "_")) for key, flag in _FLAGS.items()}
        given = {key: value for key, value in flags.items() if value is not None and value != []}
        return {**given, **settings(self.assignments or [])}

    @property
    def path(self) -> Path:
        """What was given, once.

        Raises:
            ConfigError: If nothing was given, or both DATA and --config.
        """
        if (self.data is None) == (self.config is None):
            got = "both" if self.data is not None else "neither"
            raise ConfigError(f"name the data or a config (.yaml), one of them; got {got}")
        return self.config if self.config is not None else Path(str(self.data))

    @property
    def configured(self) -> bool:
        """Whether a config was given."""
        return self.config is not None or self.path.suffix.lower() in (".yaml", ".yml")

    @property
    def table_folder(self) -> Path | None:
        """The folder of a saved table, if that is what was given."""
        folder = None if self.configured else self.path
        return folder if folder is not None and (folder / "manifest.json").is_file() else None

    def load(self, extra: Mapping[str, Any] | None = None, *, bare: Mapping[str, Any] | None = None) -> RunConfig:
        """Return the configuration.

        Args:
            extra: Dotted keys that a command's own flags stand for.
            bare: Dotted keys that hold where there is no config to say otherwise.
        """
        from ctrsel.core.building import build
        from ctrsel.core.config import RunConfig, load_config, override

        flags = {**(extra or {}), **self.overrides()}
        if self.configured:
            return load_config(self.path, overrides=flags)
        # The learners stand here so that a setting such as learners.net.width has something to change.
        learners = {name: {"use": name} for name in ("boosted", "net")}
        given: dict[str, Any] = {
            "name": _name(self.path),
            "data": {"train": str(self.data)},
            "learners": learners,
        }
        folder = self.table_folder
        if folder is not None:
            label = _label(folder)
            self._check_saved(folder, flags, label=label)
            flags = {"schema.label.name": label, **flags}
        elif "schema.label.name" not in {**(bare or {}), **flags}:
            raise ConfigError(f"{self.path}: name the label column with --label")
        override(given, {**(bare or {}), **flags}, place="the command line")
        return build(RunConfig, given, place="the command line")

    def _check_saved(self, folder: Path, flags: Mapping[str, Any], *, label: str) -> None:
        """Refuse to say again what was settled when a table was ingested; a time after which rows do not exist is not."""
        for key, value in flags.items():
            if key == "schema.label.name" and value == label:
                continue
            if key.split(".")[0] in ("data", "schema", "split", "ingest") and key != "data.as_of":
                raise ConfigError(
                    f"{_FLAGS.get(key, f'--set {key}')}: {folder} is a saved table, whose columns, splits and values were "
                    "settled by 'ctrsel ingest'; say it there, or name the raw rows"
                )

    @contextlib.contextmanager
    def open(self, extra: Mapping[str, Any] | None = None, *, bare: Mapping[str, Any] | None = None) -> Iterator[Work]:
        """Work on it: with a config in the run's folder, whose finished stages are reused; else in a temporary one."""
        config = self.load(extra, bare=bare)
        from ctrsel.api.cache import exclusive
        from ctrsel.api.plan import plan
        from ctrsel.cli.work import Work

        made = plan(config)
        if self.configured:
            with exclusive(made.out):
                yield Work.of(made, folder=made.out / "stages", saves=True)
            return
        with tempfile.TemporaryDirectory(prefix="ctrsel-", ignore_cleanup_errors=True) as folder:
            yield Work.of(made, folder=Path(folder), saved=self.table_folder)


def _name(path: Path) -> str:
    stem = path.name.split(".")[0] or "data"
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_") or "data"


def _label(folder: Path) -> str:
    from ctrsel.data.table import Table

    return Table.load(folder).schema.labels[0].name
