"""The commands that use a finished model: score files, and serve over HTTP."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctrsel.cli.groups import expand
from ctrsel.cli.help_texts import examples
from ctrsel.cli.speak import Say, aligned
from ctrsel.core.errors import ConfigError, CtrselError

if TYPE_CHECKING:
    from ctrsel.core.config import RegisterConfig
    from ctrsel.models.model import Model
    from ctrsel.serve.holder import Source

__all__ = ["COMMANDS"]

_MODEL = "A saved model, such as runs/NAME/model, or a version: models:/NAME@champion."
_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")


@expand
def score(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL)],
    data: Annotated[str, typer.Argument(metavar="DATA", help="A file or a quoted pattern; no label needed.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="A file: .parquet, .arrow, or .csv, .tsv, .ndjson, also with .gz or .zst."),
    ],
    keep: Annotated[
        list[str] | None,
        typer.Option(help="A column of DATA to copy beside the scores, as it is; repeatable.", show_default=False),
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="Add the logit and how many values were unseen and missing.")
    ] = False,
    format: Annotated[str | None, typer.Option(help="If the ending does not say.", show_default=False)] = None,
    say: Say,
) -> None:
    """Score raw rows: one probability of the positive label per row, in the order of the rows.

    Files of any size are read piece by piece, and OUT is written whole or not at all. Missing columns and values that were
    never seen are allowed, counted and compared with training.
    """
    with say.session() as speaker:
        speaker.place = str(out)
        from ctrsel.serve import score_file

        made = _source(model).load() if _registered(model) else model
        found = score_file(made, data, out, keep=tuple(keep or ()), details=details, format=format or "auto")
        shares = [
            [name, found.other[name], found.other_trained.get(name), missing, found.missing_trained.get(name)]
            for name, missing in found.missing.items()
        ]
        header = ["field", "unseen or rare", "in training", "missing", "in training"]
        text = [
            aligned(header, shares),
            "",
            f"{found.rows:,} rows scored in {found.seconds:.1f} s, mean probability {found.mean_probability:.4g}: {out}",
            *([f"absent columns, taken as missing: {', '.join(found.absent)}"] if found.absent else []),
        ]
        speaker.show(found.to_dict(), "\n".join(text))


@expand
def serve(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL)],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine's.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    reload: Annotated[
        float, typer.Option(min=0, help="Seconds between two looks for another model in MODEL's place; 0: never.")
    ] = 10.0,
    scorers: Annotated[
        int | None, typer.Option(min=1, help="Requests scored at once. Default: the cores.", show_default=False)
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads that one of them computes on. Default: 1, or what the environment says."),
    ] = None,
    max_rows: Annotated[int, typer.Option(min=1, help="Of a request.")] = 10_000,
    max_bytes: Annotated[int, typer.Option(min=1, help="Of a request's body.")] = 16 << 20,
    max_text: Annotated[int, typer.Option(min=1, help="Characters of a text.")] = 10_000,
    say: Say,
) -> None:
    """Answer over HTTP with one model until a signal ends it: POST /predict, POST /predict/batch, GET /model, /ready, /health.

    Another model in MODEL's place, a new folder or the alias on another version, is loaded beside the old one and takes over
    between two requests. /openapi.json describes it all.
    """
    with say.session() as speaker:
        # Before any library is loaded: they read it once.
        for name in _THREADED:
            if threads is not None or name not in os.environ:
                os.environ[name] = str(threads or 1)
        from ctrsel.serve.holder import Holder
        from ctrsel.serve.limits import Limits
        from ctrsel.serve.server import check_installed, listen
        from ctrsel.serve.server import serve as answer

        check_installed()
        limits = Limits(rows=max_rows, bytes=max_bytes, text=max_text)
        at = listen(host, port)
        with contextlib.closing(at):
            holder = Holder(_source(model))
            address = f"http://{f'[{host}]' if ':' in host else host}:{at.getsockname()[1]}"
            facts = {"address": address, "model": holder.source.name, "digest": holder.now.digest}
            answer(
                holder,
                at,
                limits=limits,
                threads=scorers or os.cpu_count() or 1,
                reload_seconds=reload,
                started=lambda: speaker.show(facts, f"{holder.source.name} ({holder.now.digest}) answers at {address}"),
            )


def _registered(name: str) -> bool:
    return name.startswith(("models:/", "runs:/"))


def _source(name: str) -> Source:
    """Return where a model comes from."""
    if _registered(name):
        return _RegistrySource(name=name)
    from ctrsel.serve.holder import FolderSource

    return FolderSource(path=Path(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class _RegistrySource:
    """A version in the registry that `MLFLOW_TRACKING_URI` names; an alias is asked for its version each time."""

    name: str

    def stamp(self) -> str:
        """Return the version's number, or the address where it cannot move."""
        place, _, alias = self.name.removeprefix("models:/").partition("@")
        if not alias:
            return self.name
        from ctrsel.register.store import Store, public_uri, quiet_mlflow

        _check_store()
        store = Store.of(_asked(), out=Path())
        if store.database_file is not None and not store.database_file.exists():
            raise ConfigError(f"{self.name}: nothing is registered in {public_uri(store.uri)}, which is not there")
        with quiet_mlflow(store.uri):
            try:
                found = store.client().get_model_version_by_alias(place, alias)
            except CtrselError:
                raise
            except Exception as error:
                raise ConfigError(public_uri(f"{self.name}: {str(error).strip().splitlines()[0][:300]}")) from error
        return f"{place}/{found.version}"

    def load(self) -> Model:
        """Load the version that stands there now."""
        from ctrsel.register.loading import load_registered

        _check_store()
        return load_registered(self.name, config=_asked(), out=Path())


def _asked() -> RegisterConfig:
    """Return how the registry is asked: it is looked at again soon, so there is no need for patience."""
    from ctrsel.core.config import RegisterConfig

    return RegisterConfig(patience="3s")


def _check_store() -> None:
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        raise ConfigError("a registered model is looked up where MLFLOW_TRACKING_URI says, which is not set")


_AROUND = "Finished runs and models"
COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "score",
        score,
        examples(
            "ctrsel score runs/clicks/model new.csv --out scores.parquet",
            "ctrsel score models:/clicks@champion 'day-*.ndjson.gz' --keep id --out scores.csv.zst",
        ),
        _AROUND,
    ),
    (
        "predict",
        score,
        examples("ctrsel predict runs/clicks/model new.csv --out scores.parquet") + "\n\nThe same as 'ctrsel score'.",
        _AROUND,
    ),
    (
        "serve",
        serve,
        examples("ctrsel serve runs/clicks/model", "ctrsel serve models:/clicks@champion --host 0.0.0.0 --reload 30"),
        _AROUND,
    ),
)
