"""Compiled checkpoints: a cache of files, each made once, by TensorFlow in a process of its own.

An entry is a LiteRT model that says in a JSON text, attached as LiteRT's own metadata are (a ZIP
archive behind the model), of which checkpoint it was made, by what, and how near it comes. Its
gradients, a second LiteRT model, are attached there too.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
import zipfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import active_children
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pebble import ProcessExpired
from pydantic import BaseModel, ConfigDict, Field

from app.inference.engines.converter import be_a_converter, convert
from app.runtime.children import call_apart
from app.xray.errors import EngineError, NotExplainable

if TYPE_CHECKING:
    from app.inference.engines.converter import Converted
    from app.xray.checkpoint import Checkpoint

log = logging.getLogger(__name__)

_LABEL: Final = "cxr_compiled.json"
_GRADIENTS: Final = "gradients.tflite"
_LIMIT_S: Final = 300
_FORMAT: Final = 2
"""Counts up when a model of today would be of no use to a version of tomorrow."""


class _Label(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: int
    checkpoint_sha256: str
    converter: str
    largest_difference: Annotated[float, Field(ge=0)]
    model_bytes: int
    model_sha256: str
    gradients_sha256: str | None = None
    not_explainable: str | None = None
    """Why there are no gradients."""


@dataclass(frozen=True)
class CompiledModel:
    """A LiteRT model with the signature of `expose_features`, for one picture at a time."""

    path: Path
    label: _Label

    @property
    def converter(self) -> str:
        """What made it, such as "tensorflow-2.21.0"."""
        return self.label.converter

    @property
    def largest_difference(self) -> float:
        """Between its probabilities and the reference's, when it was made."""
        return self.label.largest_difference

    def read_gradients(self) -> bytes:
        """A second LiteRT model, for `app.inference.engines.litert.CompiledGradients`.

        Raises:
            NotExplainable: the network has no gradients.
            EngineError: they are not there any more, or not those of the label.
        """
        if self.label.gradients_sha256 is None:
            raise NotExplainable(f"this model cannot be explained: {self.label.not_explainable}")
        try:
            with zipfile.ZipFile(self.path) as archive:
                gradients = archive.read(_GRADIENTS)
            if hashlib.sha256(gradients).hexdigest() == self.label.gradients_sha256:
                return gradients
            fault: object = "it was changed"
        except Exception as error:  # zipfile documents no closed set of errors for corrupt files
            fault = error
        raise EngineError(f"{self.path}: the gradients cannot be read: {fault}")


def compiled_model(checkpoint: Checkpoint, cache_dir: Path) -> CompiledModel:
    """The entry for `checkpoint`, compiled now where there is none that holds.

    Where TensorFlow is installed, the entry must be of that very version; elsewhere any will do.

    Raises:
        CheckpointCorrupt: the network cannot be rebuilt.
        EngineError: it must be compiled, and TensorFlow is not installed, `cache_dir` cannot be
            written, or the compiled model answers otherwise than the reference.
    """
    try:
        cache_dir = cache_dir.expanduser()
    except RuntimeError as error:
        raise EngineError(f"CXR_CACHE_DIR={cache_dir}: this user has no home") from error
    converter = _installed_converter()
    for path in sorted(cache_dir.glob(f"{checkpoint.sha256}-{converter or '*'}.tflite")):
        if found := _read_entry(path, checkpoint):
            return found
        log.warning("%s is not what it should be; it is not used", path)
    if converter is None:
        raise EngineError(
            f"{checkpoint.path} is not compiled in CXR_CACHE_DIR={cache_dir}, and TensorFlow, "
            "which compiles it, is not installed: run `python -m app compile` where it is"
        )
    return _compile(checkpoint, cache_dir / f"{checkpoint.sha256}-{converter}.tflite", converter)


def stop_compiling() -> None:
    """End the processes that compile; whoever waits for one is told that it died."""
    for child in active_children():
        child.terminate()


def _installed_converter() -> str | None:
    try:
        return f"tensorflow-{version('tensorflow')}"
    except PackageNotFoundError:
        return None


def _read_entry(path: Path, checkpoint: Checkpoint) -> CompiledModel | None:
    """The entry at `path`; None where its label is not whole, or not about what is there."""
    try:
        with zipfile.ZipFile(path) as archive:
            label = _Label.model_validate_json(archive.read(_LABEL))
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(label.model_bytes)).hexdigest()
        entry = CompiledModel(path, label)
        if label.gradients_sha256 is not None:
            entry.read_gradients()
    except Exception as error:  # zipfile documents no closed set of errors for corrupt files
        log.debug("%s: %s", path, error)
        return None
    expected = (_FORMAT, checkpoint.sha256, digest)
    if (label.format, label.checkpoint_sha256, label.model_sha256) != expected:
        return None
    return entry


def _compile(checkpoint: Checkpoint, path: Path, converter: str) -> CompiledModel:
    log.info("compiling %s; this is done once", checkpoint.path)
    start = time.monotonic()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(suffix=".part", dir=path.parent) as folder:
            draft = Path(folder) / path.name
            converted = _convert_elsewhere(checkpoint, draft)
            label = _attach(draft, checkpoint, converter, converted)
            draft.chmod(0o644)  # who serves may be another than who compiled
            draft.replace(path)
    except OSError as error:
        raise EngineError(f"CXR_CACHE_DIR={path.parent}: cannot be written: {error}") from error
    log.info("compiled %s in %.0f s", checkpoint.path, time.monotonic() - start)
    if label.not_explainable:
        log.warning("%s cannot be explained: %s", checkpoint.path, label.not_explainable)
    return CompiledModel(path, label)


def _convert_elsewhere(checkpoint: Checkpoint, draft: Path) -> Converted:
    """Convert in another process: it gives TensorFlow's memory back, and this one stays free."""
    try:
        return call_apart(convert, checkpoint, draft, within_s=_LIMIT_S, be=be_a_converter)
    except TimeoutError as error:
        raise EngineError(f"{checkpoint.path} is not compiled within {_LIMIT_S} s") from error
    except ProcessExpired as error:
        raise EngineError(
            f"{checkpoint.path}: the process that compiled it died; it takes 1.5 GB of memory"
        ) from error
    except ImportError as error:
        raise EngineError(f"TensorFlow, which compiles, cannot be loaded: {error}") from error


def _attach(draft: Path, checkpoint: Checkpoint, converter: str, converted: Converted) -> _Label:
    """Attach gradients and label, which is given back, to the model at `draft`."""
    model, gradients = draft.read_bytes(), converted.gradients
    label = _Label(
        format=_FORMAT,
        checkpoint_sha256=checkpoint.sha256,
        converter=converter,
        largest_difference=converted.largest_difference,
        model_bytes=len(model),
        model_sha256=hashlib.sha256(model).hexdigest(),
        gradients_sha256=None if gradients is None else hashlib.sha256(gradients).hexdigest(),
        not_explainable=converted.not_explainable,
    )
    with zipfile.ZipFile(draft, "a") as archive:  # stored as they are: weights hardly shrink
        if gradients is not None:
            archive.writestr(_GRADIENTS, gradients)
        archive.writestr(_LABEL, label.model_dump_json())
    return label
