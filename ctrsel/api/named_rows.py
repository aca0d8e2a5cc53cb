"""Rows by the name that a person has for them, on which registered versions are scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ctrsel.api.window import Window, newest_window
from ctrsel.core.config import DataConfig, FieldConfig, LabelConfig, SchemaConfig, load_config
from ctrsel.models.model import Model

__all__ = ["Rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows to score versions on.

    Attributes:
        data: A path, glob or URI, or the config of a run (.yaml), which knows label, time and delay; rows that were read
            already; None for the rows that the stored comparison was made on.
        newest: Only the rows of the last "7d", "12h", or of a number where time is one.
        as_of: Rows after this time do not exist yet.
        delay: How long an outcome may take, where the data are no config.
        format: Of the data, if the ending does not say.
        segments: Columns by whose values versions are compared as well.
    """

    data: str | Window | None = None
    newest: str | None = None
    as_of: str | None = None
    delay: str | None = None
    format: str | None = None
    segments: tuple[str, ...] = ()

    def window(self, model: Model) -> Window:
        """Read the rows; a model's schema says what is label, time, group and weight where no config does."""
        assert self.data is not None
        if isinstance(self.data, Window):
            return self.data
        if self.data.endswith((".yaml", ".yml")):
            config = load_config(self.data)
            delay = self.delay or config.schema.label.delay
            schema = replace(config.schema, label=replace(config.schema.label, delay=delay))
            return newest_window(config.data, schema=schema, newest=self.newest, as_of=self.as_of)
        known = model.encoder.schema
        label = known.labels[0]
        schema = SchemaConfig(
            label=LabelConfig(name=label.name, positive=label.positive, delay=self.delay),
            fields={f.name: FieldConfig(kind=_kind(f.kind), sensitive=f.sensitive) for f in known.inputs},
            infer=False,
            time=known.time,
            group=known.group,
            weight=known.weight,
            sampling_rate=known.sampling_rate,
        )
        data = DataConfig(train=self.data, format=self.format or "auto")  # type: ignore[arg-type]  # checked when read
        return newest_window(data, schema=schema, newest=self.newest, as_of=self.as_of)


def _kind(kind: str) -> Any:
    return kind
