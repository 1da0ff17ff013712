"""The process that reads a stranger's checkpoint, and makes a graph of it.

A few wrong bytes can send HDF5's library round and round for ever, and with it everything that
waits for the interpreter; and a few lines of configuration can ask for any amount of memory. So
both happen in a process that is ended when it takes too long, and has no more memory than what the
checkpoint needs by its own account. What it hands back is data: of an error its kind and one line,
since an exception would bring along whatever it was made of.
"""

from __future__ import annotations

import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeVar

from pebble import ProcessExpired

from app.runtime.children import Apart, be_expendable
from app.xray.checkpoint import Checkpoint, inspect_checkpoint, read_checkpoint
from app.xray.checkpoint.read import brief
from app.xray.errors import (
    CheckpointCorrupt,
    CheckpointMissing,
    CheckpointRefused,
    CxrError,
    EngineError,
    OperatorError,
)
from app.xray.graph.export import export_graph, use_openvino_backend

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from app.xray.checkpoint import Inspected
    from app.xray.graph.graph import Graph

T = TypeVar("T")

READING_LIMIT_S: Final = 15
"""Of a file of no size; see `_BYTES_A_SECOND`."""
_BYTES_A_SECOND: Final = 20_000_000
"""What is read on a machine with other work: half a gigabyte took 15 s, three times what it takes
on one without."""
_GRAPH_LIMIT_S: Final = 300
"""The largest networks of keras.applications, of a thousand layers, take a minute."""
_MOST_BYTES: Final = 12 << 30
_READING_BYTES: Final = 704 << 20
"""Beside three times the file, whose arrays are read one by one; Keras and OpenVINO take 300 MB."""
_GRAPH_BYTES: Final = 1 << 30
"""Beside the weights several times over (as Keras holds them, in both layouts, and compiled), and
what is alive of a picture."""
_TIMES_WEIGHTS: Final = 8
_TIMES_ALIVE: Final = 8
_KINDS: Final = {
    kind.__name__: kind
    for kind in (CheckpointCorrupt, CheckpointMissing, CheckpointRefused, EngineError)
}
_MAX_LINE: Final = 1_000
_MAX_STRUCTURE_BYTES: Final = 1 << 26
_MAX_WEIGHT_BYTES: Final = 5 << 28


class _Failure(NamedTuple):
    kind: str
    message: str


class Reader:
    """A process of its own for one checkpoint. A context manager: it ends with the block."""

    def __init__(self) -> None:
        self._process = Apart(partial(be_expendable, _MOST_BYTES))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end()

    def start(self) -> None:
        """Have the process start, and import what makes graphs there; neither is waited for.

        So it is ready sooner, where who calls it has other things to do first.
        """
        within_s = READING_LIMIT_S
        self._process.begin(_guarded, _READING_BYTES, use_openvino_backend, within_s=within_s)

    def read(
        self,
        path: Path,
        *,
        sha256: str | None = None,
        classes: Sequence[str] | None = None,
        said: Mapping[str, Any] | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Checkpoint:
        """As `read_checkpoint`, in limited time; calls `meanwhile` while it is read.

        Raises:
            CheckpointError: as `read_checkpoint`, and where reading comes to no end, takes too much
                memory or crashes.
        """
        read = partial(read_checkpoint, path, sha256=sha256, classes=classes, said=said)
        found: Checkpoint = self._look(path, read, meanwhile)
        return found

    def inspect(self, path: Path) -> Inspected:
        """As `inspect_checkpoint`, with the limits of `read`.

        Raises:
            CheckpointError: as `inspect_checkpoint`, and where `read` raises it too.
        """
        found: Inspected = self._look(path, partial(inspect_checkpoint, path))
        return found

    def graph_of(self, checkpoint: Checkpoint, *, ends: bool = True) -> Graph:
        """OpenVINO's graph of `checkpoint`.

        The process then `ends`, and gives its memory back while the graph is compiled here.

        Raises:
            CheckpointError, EngineError: as `export_graph`, and where it comes to no end or the
                process dies.
        """
        limit = min(
            _GRAPH_BYTES
            + _TIMES_WEIGHTS * checkpoint.weight_bytes
            + _TIMES_ALIVE * checkpoint.alive_bytes,
            _MOST_BYTES,
        )
        make = partial(_small_graph, checkpoint)
        try:
            making = self._process.begin(_guarded, limit, make, within_s=_GRAPH_LIMIT_S)
            graph: Graph = _unwrapped(making.result(), checkpoint.path)
        except TimeoutError as error:
            raise EngineError(
                f"{checkpoint.path}: OpenVINO's graph of it is not made within {_GRAPH_LIMIT_S} s"
            ) from error
        except (MemoryError, ProcessExpired) as error:
            raise EngineError(
                f"{checkpoint.path}: the process that made OpenVINO's graph of it died; it may "
                f"take {limit:,} bytes of memory"
            ) from error
        finally:
            if ends:
                self._process.end()
        return graph

    def _look(
        self,
        path: Path,
        function: Callable[[], object],
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Any:
        size = _size(path)
        limit = min(_READING_BYTES + 3 * size, _MOST_BYTES)
        within_s = READING_LIMIT_S + size / _BYTES_A_SECOND
        try:
            reading = self._process.begin(_guarded, limit, function, within_s=within_s)
            meanwhile()
            return _unwrapped(reading.result(), path)
        except TimeoutError as error:
            raise CheckpointCorrupt(
                f"{path}: not a readable file: reading it takes more than {within_s:.0f} s"
            ) from error
        except ProcessExpired as error:
            raise CheckpointCorrupt(
                f"{path}: not a readable file: the process that read it crashed"
            ) from error
        except MemoryError as error:
            raise CheckpointRefused(
                f"{path}: reading it takes more than {limit:,} bytes of memory"
            ) from error


def _guarded(limit: int, function: Callable[[], T]) -> T | _Failure:
    """There: call `function` with `limit` bytes of memory; what it raises comes back as words."""
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        return function()
    except MemoryError:
        return _Failure("MemoryError", "")
    except CxrError as error:
        return _Failure(type(error).__name__, str(error)[:_MAX_LINE])
    except ImportError as error:
        return _Failure("EngineError", f"Keras and OpenVINO cannot be loaded: {brief(error)}")
    except Exception as error:  # a fault of ours: where it was is all that helps
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename}, line {frame.lineno}"
        return _Failure("", f"{type(error).__name__}: {brief(error)} ({where})")


def _unwrapped(found: Any, path: Path) -> Any:
    """Here: what came back, or the error that its words stand for."""
    if not isinstance(found, _Failure):
        return found
    if found.kind == "MemoryError":
        raise MemoryError
    if found.kind in _KINDS:
        raise _KINDS[found.kind](found.message)
    raise OperatorError(f"{path}: {found.message}")


def _small_graph(checkpoint: Checkpoint) -> Graph:
    graph = export_graph(checkpoint)
    if len(graph.structure) > _MAX_STRUCTURE_BYTES or len(graph.weights) > _MAX_WEIGHT_BYTES:
        raise EngineError(f"{checkpoint.path}: OpenVINO's graph of it is too large")
    return graph


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # the reader says what is wrong with it
        return 0
