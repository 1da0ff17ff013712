"""Making a classifier, which takes long, beside everything else that the process does."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from app.xray.errors import InferenceStopped, ReloadFailed

if TYPE_CHECKING:
    from datetime import datetime

    from app.classifier import Classifier
    from app.metrics import Metrics
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
