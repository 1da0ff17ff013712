"""Making a classifier, which takes long, beside everything else that the process does."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from pebble import ProcessExpired

from app.inference.classifier import Classifier
from app.inference.engines import create_engine
from app.runtime.children import Apart, be_expendable, return_freed_memory
from app.settings import VERSION
from app.xray.checkpoint import read_checkpoint
from app.xray.contract import parse_input
from app.xray.errors import CheckpointCorrupt, EngineError, InferenceStopped, ReloadFailed
from app.xray.graph.export import export_graph
from app.xray.graph.runtime import import_openvino

if TYPE_CHECKING:
    from datetime import datetime

    from app.runtime.metrics import Metrics
    from app.settings import Settings
    from app.xray.checkpoint import Checkpoint
    from app.xray.graph.graph import Graph

log = logging.getLogger(__name__)

LIMIT_S: Final = 600
"""A model that is not there by then is given up."""


class Load(Protocol):
    """Makes a warm classifier of the checkpoint that the settings name, or of one read already."""

    def __call__(self, settings: Settings, checkpoint: Checkpoint | None = None) -> Classifier:
        """Raises CheckpointError or EngineError where it cannot be served."""
        ...


class Reload(NamedTuple):
    """What became of the last new checkpoint; `reason` says why it was refused."""

    status: Literal["succeeded", "failed"]
    finished_at: datetime
    reason: str | None = None
    sha256: str | None = None


async def load_in_a_thread(
    load: Load, settings: Settings, checkpoint: Checkpoint | None = None
) -> Classifier:
    """Call `load` in a thread of its own, so that one that hangs takes no other along.

    Raises what `load` raises, and:

    Raises:
        InferenceStopped: it took more than `LIMIT_S`.
    """
    arguments = (settings,) if checkpoint is None else (settings, checkpoint)
    thread = ThreadPoolExecutor(1, "loading")
    try:
        loading = asyncio.get_running_loop().run_in_executor(thread, load, *arguments)
        return await asyncio.wait_for(loading, LIMIT_S)
    except TimeoutError as error:
        raise InferenceStopped(f"the model is not loaded within {LIMIT_S} s") from error
    finally:
        thread.shutdown(wait=False, cancel_futures=True)


def refuse_other_classes(served: Classifier, offered: Classifier) -> None:
    """Raise ReloadFailed where clients would find other classes than those that are served."""
    ours, theirs = served.contract.classes, offered.contract.classes
    if ours != theirs:
        raise ReloadFailed(
            f"{offered.checkpoint.path}: its classes are {', '.join(theirs)}, those served are "
            f"{', '.join(ours)}; a restart serves it"
        )


def announce(how: str, classifier: Classifier, metrics: Metrics) -> None:
    """Say to log and `metrics` what is served from now on, and how it came to that."""
    checkpoint, engine = classifier.checkpoint, classifier.engine
    is_calibrated = checkpoint.contract.is_calibrated
    metrics.set_model(
        name=checkpoint.name,
        sha256=checkpoint.sha256,
        calibrated=is_calibrated,
        engine=engine.name,
        device=engine.device,
        classes=classifier.contract.classes,
    )
    log.info(
        "%s %s (sha256 %s), engine %s on %s in %s%s",
        how,
        checkpoint.path,
        checkpoint.sha256[:12],
        engine.name,
        engine.device,
        engine.precision,
        "" if is_calibrated else ", uncalibrated",
    )


def say_terms(settings: Settings, classifier: Classifier) -> None:
    """Say to the log, in one line, what serves from now on, to whom, and within which limits."""
    engine = classifier.engine
    terms = {
        "version": VERSION,
        "engine": engine.name,
        "device": engine.device,
        "precision": engine.precision,
        "keys": "yes" if settings.needs_key else "no",
        "gate": settings.ood if classifier.contract.ood else "none",
        "max_upload_mb": settings.max_upload_mb,
        "max_pixels": settings.max_pixels,
        "max_queue": settings.max_queue,
        "max_connections": settings.max_connections,
        "request_timeout_s": settings.request_timeout_s,
    }
    log.info("serving: %s", ", ".join(f"{k} {v}" for k, v in terms.items()), extra=terms)


_READING_LIMIT_S: Final = 15
"""A gigabyte of weights, the most that is read, took 3 s on two busy cores."""
_GRAPH_LIMIT_S: Final = 300
"""The largest networks of keras.applications, of a thousand layers, take a minute."""
_READER_BYTES: Final = 8 << 30
"""The largest weights several times over: as Keras holds them, in both layouts, and compiled."""


def load_classifier(settings: Settings, checkpoint: Checkpoint | None = None) -> Classifier:
    """Build an engine for the checkpoint that the settings name, and warm it up.

    What comes of the checkpoint is read, and built by Keras, in a process of its own, since a few
    wrong bytes can send HDF5's library round and round for ever, and with it everything that waits
    for the interpreter. That process hands back data; here neither Keras nor TensorFlow is loaded,
    but for the engine that is TensorFlow.

    `checkpoint` is one that was read already, for a new engine in place of one that broke.

    Raises:
        CheckpointError: as `read_checkpoint`, `create_engine` and `Classifier.warm_up`, and where
            reading comes to no end or crashes.
        EngineError: as `create_engine`.
    """
    with Apart(partial(be_expendable, _READER_BYTES)) as reader:
        checkpoint = checkpoint or _read(settings, reader)
        engine = create_engine(
            checkpoint,
            settings.engine,
            device=settings.device,
            precision=settings.precision,
            graph_of=partial(_graph_of, reader=reader),
        )
    classifier = Classifier(checkpoint, engine, ood=settings.ood)
    classifier.warm_up()
    return_freed_memory()
    return classifier


def _read(settings: Settings, reader: Apart) -> Checkpoint:
    path = settings.model_path
    read = partial(
        read_checkpoint,
        path,
        sha256=settings.model_sha256,
        classes=settings.classes,
        said=None if settings.input is None else parse_input(settings.input),
    )
    try:
        reading = reader.begin(read, within_s=_READING_LIMIT_S)
        if settings.engine != "tensorflow":
            import_openvino()  # meanwhile: it takes a while too
        return reading.result()
    except TimeoutError as error:
        raise CheckpointCorrupt(
            f"{path}: not a readable HDF5 file: reading it takes more than {_READING_LIMIT_S} s"
        ) from error
    except ProcessExpired as error:
        raise CheckpointCorrupt(
            f"{path}: not a readable HDF5 file: the process that read it crashed"
        ) from error


def _graph_of(checkpoint: Checkpoint, *, reader: Apart) -> Graph:
    """OpenVINO's graph of `checkpoint`; the reader ends with it, and gives its memory back.

    Raises:
        CheckpointError, EngineError: as `export_graph`, and where it comes to no end or the
            process dies.
    """
    try:
        return reader.begin(export_graph, checkpoint, within_s=_GRAPH_LIMIT_S).result()
    except TimeoutError as error:
        raise EngineError(
            f"{checkpoint.path}: OpenVINO's graph of it is not made within {_GRAPH_LIMIT_S} s"
        ) from error
    except (MemoryError, ProcessExpired) as error:
        raise EngineError(
            f"{checkpoint.path}: the process that made OpenVINO's graph of it died; it takes "
            "0.4 GB of memory, and seven times what the weights take"
        ) from error
    except ImportError as error:
        raise EngineError(f"Keras and OpenVINO cannot be loaded: {error}") from error
    finally:
        reader.end()
