"""Making a classifier, which takes long, beside everything else that the process does."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from app.inference.classifier import Classifier
from app.inference.engines import create_engine
from app.inference.reader import Reader
from app.runtime.children import return_freed_memory
from app.settings import VERSION
from app.xray.contract import parse_input
from app.xray.errors import InferenceStopped, ReloadFailed
from app.xray.graph.runtime import import_openvino

if TYPE_CHECKING:
    from datetime import datetime

    from app.runtime.metrics import Metrics
    from app.settings import Settings
    from app.xray.checkpoint import Checkpoint

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


def load_by(reader: Reader) -> Load:
    """`load_classifier`, the first time by a `reader` whose process was started before."""
    started = [reader]

    def load(settings: Settings, checkpoint: Checkpoint | None = None) -> Classifier:
        return load_classifier(settings, checkpoint, started.pop() if started else None)

    return load


def load_classifier(
    settings: Settings, checkpoint: Checkpoint | None = None, reader: Reader | None = None
) -> Classifier:
    """Build an engine for the checkpoint that the settings name, and warm it up.

    The checkpoint is read, and built by Keras, in a process of its own (`app.inference.reader`).
    Here neither Keras nor TensorFlow is loaded, but for the engine that is TensorFlow.

    `checkpoint` is one that was read already, for a new engine in place of one that broke; `reader`
    one that was started already, which ends here.

    Raises:
        CheckpointError: as `read_checkpoint`, `create_engine` and `Classifier.warm_up`, and where
            reading comes to no end or crashes.
        EngineError: as `create_engine`.
    """
    with reader or Reader() as reader:
        checkpoint = checkpoint or reader.read(
            settings.model_path,
            sha256=settings.model_sha256,
            classes=settings.classes,
            said=None if settings.input is None else parse_input(settings.input),
            # It takes a while too.
            meanwhile=import_openvino if settings.engine != "tensorflow" else lambda: None,
        )
        engine = create_engine(
            checkpoint,
            settings.engine,
            device=settings.device,
            precision=settings.precision,
            graph_of=reader.graph_of,
        )
    classifier = Classifier(checkpoint, engine, ood=settings.ood)
    classifier.warm_up()
    return_freed_memory()
    return classifier
