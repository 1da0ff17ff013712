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
from app.runtime.children import be_expendable, call_apart
from app.xray.checkpoint import read_checkpoint
from app.xray.errors import CheckpointCorrupt, InferenceStopped, ReloadFailed

if TYPE_CHECKING:
    from datetime import datetime

    from app.runtime.metrics import Metrics
    from app.settings import Settings
    from app.xray.checkpoint import Checkpoint

log = logging.getLogger(__name__)

LIMIT_S: Final = 600
"""A model that is not there by then, compiled if need be, is given up."""


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
        "%s %s (sha256 %s), engine %s on %s%s",
        how,
        checkpoint.path,
        checkpoint.sha256[:12],
        engine.name,
        engine.device,
        "" if is_calibrated else ", uncalibrated",
    )


_READING_LIMIT_S: Final = 15
"""A gigabyte of weights, the most that is read, took 3 s on two busy cores."""
_READING_BYTES: Final = 3 << 30
"""The largest weights, and what reading takes besides."""


def load_classifier(settings: Settings, checkpoint: Checkpoint | None = None) -> Classifier:
    """Build an engine for the checkpoint that the settings name, and warm it up.

    `checkpoint` is one that was read already, for a new engine in place of one that broke.

    Raises:
        CheckpointError: as `read_checkpoint`, `create_engine` and `Classifier.warm_up`.
        EngineError: as `create_engine`.
    """
    checkpoint = checkpoint or checkpoint_of(settings)
    engine = create_engine(
        checkpoint, settings.engine, device=settings.device, cache_dir=settings.cache_dir
    )
    classifier = Classifier(checkpoint, engine, ood=settings.ood)
    classifier.warm_up()
    return classifier


def checkpoint_of(settings: Settings) -> Checkpoint:
    """The checkpoint that the settings name, inspected.

    In a process of its own, since a few wrong bytes can send HDF5's library round and round for
    ever, and with it everything that waits for the interpreter.

    Raises:
        CheckpointError: as `read_checkpoint`, and where reading comes to no end or crashes.
    """
    path = settings.model_path
    read = partial(read_checkpoint, path, sha256=settings.model_sha256, classes=settings.classes)
    try:
        return call_apart(read, within_s=_READING_LIMIT_S, be=_be_a_reader)
    except TimeoutError as error:
        raise CheckpointCorrupt(
            f"{path}: not a readable HDF5 file: reading it takes more than {_READING_LIMIT_S} s"
        ) from error
    except ProcessExpired as error:
        raise CheckpointCorrupt(
            f"{path}: not a readable HDF5 file: the process that read it crashed"
        ) from error


def _be_a_reader() -> None:
    be_expendable(_READING_BYTES)
