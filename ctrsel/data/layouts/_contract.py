"""Layouts: how a published data set's own files become rows with a label, read from the user's own copy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ctrsel.core.artifact import digest_file, digest_json
from ctrsel.core.errors import DataError
from ctrsel.data.paths import expand, source_paths

if TYPE_CHECKING:
    import polars as pl

    from ctrsel.core.config import SchemaConfig
    from ctrsel.data.layouts._reading import LayoutReader

__all__ = ["Layout"]


class Layout(ABC):
    """A frozen dataclass without parameters; its file's name is what `data.format` calls it.

    Attributes:
        mains: Names of the file that holds the rows, by which it is found in a folder.
        line_is_row: Whether each line with cells is a row, so that a row's number leads to its line.
    """

    mains: ClassVar[tuple[str, ...]] = ()
    line_is_row: ClassVar[bool] = True

    @abstractmethod
    def frames(self, path: Path, reader: LayoutReader) -> Iterator[pl.DataFrame]:
        """Yield the rows of one file as frames of the same columns and types, which are joined in this order.

        Args:
            path: The file with the rows; others that belong to it lie beside.
            reader: Reads text strictly and takes the rows that break a rule.
        """

    @abstractmethod
    def schema(self, columns: Sequence[str]) -> SchemaConfig:
        """Say what the columns are, as far as the layout knows; what the user says goes before it.

        Args:
            columns: Those that the user's copy has.
        """

    def files(self, pattern: str) -> list[Path]:
        """Return the files with rows that a path, a glob or a folder names.

        Raises:
            DataError: If there is none, or a folder holds none or several.
        """
        folder = Path(expand(pattern)).expanduser()
        if not folder.is_dir():
            return source_paths(pattern)
        found = [folder / name for name in self.mains if (folder / name).is_file()]
        if len(found) != 1:
            got = f"got {' and '.join(p.name for p in found)}" if found else "it has none"
            raise DataError(f"{pattern}: the folder must hold one of {', '.join(self.mains)}, but {got}")
        return source_paths(str(found[0]))

    def beside(self, path: Path) -> list[Path]:
        """Return the other files that are read with this one, for digests."""
        return []

    def digest(self, path: Path) -> str:
        """Digest the bytes of a file with rows and of all that is read with it."""
        return digest_json([digest_file(p) for p in (path, *self.beside(path))])
