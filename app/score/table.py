"""The table of an archive, in parts until it is whole, so that no row is lost or made twice."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from app.xray.errors import ScoringError
from app.xray.replacing import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

PART_ROWS: Final = 500
"""The most rows that are lost when the process is killed, and scored once more."""
METADATA_KEY: Final = b"cxr"


class About(NamedTuple):
    """What the answers of a table depend on; stands in its metadata, too."""

    source: str
    model: str
    sha256: str
    calibrated: bool
    classes: Sequence[str]
    ood: str
    engine: str
    version: str


class ScoreTable:
    """A Parquet file at `out` that is being made, a row for each picture, in the source's order.

    A context manager, within which no other process writes it.

    Until it is whole, `out` with `.parts` behind its name is a folder of what there is so far: the
    list of pictures, as the first run found it, and the finished parts.
    """

    def __init__(self, out: Path, about: About, pictures: Iterable[str]) -> None:
        """Begin, or go on where an earlier run was stopped; `pictures` are read to begin alone.

        Raises:
            ScoringError: `out` is there already, or cannot be written; what was begun is of
                another source or model; another process is writing it; what `pictures` raises.
        """
        self._out = out
        self._folder = out.with_name(f"{out.name}.parts")
        self._schema = schema_of(about)
        self._rows: list[dict[str, Any]] = []
        if out.exists() and not self._folder.exists():
            raise ScoringError(f"{out}: is there already; delete it, or name another")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self._folder / "lock")
        except OSError as error:
            raise ScoringError(f"{out}: cannot be written: {error}") from error
        try:
            self.total = self._begin(about, pictures)
        except OSError as error:
            self._lock.close()
            raise ScoringError(f"{out}: cannot be written: {error}") from error
        except BaseException:
            self._lock.close()
            raise
        self._parts = sorted(self._folder.glob("part-*.parquet"))
        self.done = sum(pq.read_metadata(part).num_rows for part in self._parts)
        """Rows that are safe on disk."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keep the rows that were taken, and let other processes go on."""
        try:
            self.save()
        finally:
            self._lock.close()

    def remaining(self) -> Iterator[str]:
        """The pictures that have no row yet."""
        with self._listing.open(encoding="utf-8") as lines:
            for line in islice(lines, self.done, None):
                yield json.loads(line)

    def add(self, row: dict[str, Any]) -> None:
        """Take the row of the next picture."""
        self._rows.append(row)
        if len(self._rows) == PART_ROWS:
            self.save()

    def save(self) -> None:
        """Put the rows that were taken safely on disk."""
        if not self._rows:
            return
        part = self._folder / f"part-{len(self._parts):08}.parquet"
        rows = pa.Table.from_pylist(self._rows, self._schema)
        _replace(part, lambda path: pq.write_table(rows, path))
        self._parts.append(part)
        self.done += len(self._rows)
        self._rows.clear()

    def finish(self) -> None:
        """Make one file of the parts, once every picture has its row."""
        self.save()
        if self.done != self.total:
            raise RuntimeError(f"{self.done} of {self.total} rows")
        _replace(self._out, self._join)
        with suppress(OSError):  # the table is whole
            shutil.rmtree(self._folder)

    @property
    def _listing(self) -> Path:
        return self._folder / "pictures.jsonl"

    def _begin(self, about: About, pictures: Iterable[str]) -> int:
        """How many pictures there are, counted when the first run began."""
        path = self._folder / "about.json"
        wanted = json.loads(json.dumps(about._asdict()))
        if path.exists():
            begun = json.loads(path.read_text(encoding="utf-8"))
            total = int(begun.pop("total"))
            differing = [name for name in wanted if begun.get(name) != wanted[name]]
            if differing:
                raise ScoringError(
                    f"{self._folder}: was begun with another {', '.join(differing)}; go on with "
                    f"the same, or delete it"
                )
            return total
        total = 0
        with self._listing.open("w", encoding="utf-8") as file:
            for total, address in enumerate(pictures, 1):  # noqa: B007  # counts
                file.write(json.dumps(address) + "\n")
            _sync(file)
        text = json.dumps({**wanted, "total": total})
        _replace(path, lambda whole: whole.write_text(text, encoding="utf-8"))
        return total

    def _join(self, path: Path) -> None:
        with pq.ParquetWriter(path, self._schema, compression="zstd") as writer:
            for part in self._parts:
                writer.write_table(pq.read_table(part))


def schema_of(about: About) -> Any:
    """The columns of a table, as Arrow names and types them, with `about` in its metadata."""
    columns = [
        ("path", pa.string()),
        ("label", pa.string()),
        ("confidence", pa.float64()),
        *((f"probability_{name}", pa.float64()) for name in about.classes),
        ("prediction_set", pa.list_(pa.string())),
        ("uncertain", pa.bool_()),
        ("gate_score", pa.float64()),
        ("warnings", pa.list_(pa.string())),
        ("error", pa.string()),
    ]
    return pa.schema(columns, {METADATA_KEY: json.dumps(about._asdict()).encode()})


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a file that is at `path` either whole or not at all, come what may."""
    try:
        with replacing(path) as partial:
            write(partial)
    except OSError as error:
        raise ScoringError(f"{path}: cannot be written: {error}") from error


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _lock(path: Path) -> IO[str]:
    """Hold `path` until the process ends, however it does."""
    import fcntl

    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise ScoringError(f"{path.parent}: another process is writing it") from error
    return file
