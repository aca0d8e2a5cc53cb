"""Remote files: what lies in an object store or on a web server is copied to parquet once, by polars' scans."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import polars as pl

from ctrsel.core.artifact import digest_file
from ctrsel.core.errors import AbsentError, ConfigError, DataError, unknown_name
from ctrsel.data.frames import first_line
from ctrsel.data.paths import TEXT_FORMATS, expand
from ctrsel.data.raw import Shard
from ctrsel.data.reaching import unread

if TYPE_CHECKING:
    from ctrsel.data.intake import Intake

__all__ = ["SCHEMES", "open_remote"]

_UNSIGNED = re.compile(r"\?\S+")  # what stands behind a URL's question mark may be a signature
SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "hf", "http", "https")


def open_remote(uri: str, *, kind: str, intake: Intake, part: str) -> list[Shard]:
    """Copy what a URI names (a glob where the store can be listed) to this machine, and open the copy.

    Parquet and Arrow files become one parquet file; text files are copied line by line and staged as local ones are.
    Credentials are those that polars finds in the environment; a URI must hold none.

    Raises:
        ConfigError: If the protocol is not known, or the URI holds a password.
        AbsentError: If no file is found there.
        DataError: If it cannot be read.
        UnreachableError: If it cannot be reached at the moment.
    """
    whole = expand(uri)
    _check(uri, whole)
    if kind not in TEXT_FORMATS:
        scan = pl.scan_parquet if kind == "parquet" else pl.scan_ipc
        return [_stage(scan(whole), uri, whole, intake, part)]
    if intake.encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
        raise ConfigError(f"data.encoding: remote text must be UTF-8, got {intake.encoding!r}; copy {uri} here first")
    return _texts(uri, whole, kind=kind, intake=intake, part=part)


def _check(uri: str, whole: str) -> None:
    scheme = whole.split("://", 1)[0].lower()
    if scheme not in SCHEMES:
        raise unknown_name("protocol", scheme, SCHEMES, place=f"{scheme}://...")
    if urlsplit(whole).password is not None:
        raise ConfigError(
            f"{scheme}://...: a URI must hold no password; give credentials by the environment variables of the store"
        )


def _texts(uri: str, whole: str, *, kind: str, intake: Intake, part: str) -> list[Shard]:
    lines = replace(intake, rows=None)  # lines are no rows yet: a header is one, a quoted cell may hold several
    copied = _stage(pl.scan_lines(whole, include_file_paths="path"), uri, whole, lines, part)
    scan = copied.source.lazy()
    globbed = bool(set("*?[") & set(whole))
    shards: list[Shard] = []
    left = intake.rows
    for path in scan.select(pl.col("path").unique(maintain_order=True)).collect(engine="streaming")["path"].sort():
        name = path if globbed else uri
        ending = "ndjson" if kind == "ndjson" else kind
        local = intake.folder(part) / f"{Path(urlsplit(path).path).name.split('.')[0] or 'file'}.{ending}"
        scan.filter(pl.col("path") == path).select("line").sink_csv(
            local, include_header=False, quote_style="never", null_value=""
        )
        rejected = len(intake.rejects.frames)
        try:
            found = intake.text(str(local), kind=kind, part=part, rows=left)
        except DataError as error:
            raise DataError(str(error).replace(str(local), name)) from error
        for i, frame in enumerate(intake.rejects.frames[rejected:], start=rejected):
            intake.rejects.frames[i] = frame.with_columns(pl.col("file").replace(str(local), name))
        digest = digest_file(local) if intake.digests else ""
        shards += [replace(s, name=name, digest=digest) for s in found]
        if left is not None:
            left -= sum(s.rows for s in found)
            if left <= 0:
                break
    if not shards:
        raise AbsentError(f"{uri}: no file is found there") if globbed else DataError(f"{uri}: the file is empty")
    return shards


def _stage(lazy: pl.LazyFrame, uri: str, whole: str, intake: Intake, part: str) -> Shard:
    """Copy to parquet; what the store says is told with the URI as the user wrote it, variables unexpanded."""
    try:
        return intake.stage(lazy, part=part, name=uri)
    except DataError as error:
        cause = error.__cause__
        text = first_line(cause) if cause is not None else str(error)
        if isinstance(cause, FileNotFoundError) or "404 Not Found" in text or "expanded paths were empty" in text:
            raise AbsentError(f"{uri}: no file is found there") from None
        said = _UNSIGNED.sub("?...", text.replace(whole, uri))
        raise unread(f"{uri}: cannot be read: {said}", why=said) from None
