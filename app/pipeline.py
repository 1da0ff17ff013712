"""The road of one upload through a loaded model, off the event loop."""

from __future__ import annotations

import asyncio
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from PIL import ImageOps

from app.batching import MicroBatcher
from app.explain import overlay, thumbnail
from app.xray.decode import decode
from app.xray.errors import MalformedRequest, NotAChestXray
from app.xray.preprocess import to_input

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from app.classifier import Classifier, Prediction
    from app.settings import Settings


class Pipeline:
    """Decodes in the threads of `decoding`, then runs the model in threads of its own.

    How many those are, how large batches are and how long they wait for more is the engine's to
    say, unless the settings do.
    """

    def __init__(self, classifier: Classifier, settings: Settings, decoding: Executor) -> None:
        self.classifier = classifier
        self._max_pixels = settings.max_pixels
        self._refuses = settings.ood == "refuse"
        self._decoding = decoding
        batching, wait_ms = classifier.engine.batching, settings.max_wait_ms
        self._inference = ThreadPoolExecutor(batching.threads, "inference")
        self._batcher: MicroBatcher[Prediction] = MicroBatcher(
            classifier.predict,
            self._inference,
            max_queue=settings.max_queue,
            max_size=settings.max_batch_size or batching.max_size,
            max_wait_s=batching.max_wait_s if wait_ms is None else wait_ms / 1000,
            max_running=batching.threads + batching.ahead,
        )

    @property
    def waiting(self) -> int:
        """Uploads that wait for the model, decoded or not."""
        return self._batcher.waiting

    @property
    def prepared(self) -> int:
        """Uploads that are decoded and wait for the model."""
        return self._batcher.prepared

    async def classify(self, data: bytes) -> Prediction:
        """What the model says of one uploaded file.

        Raises:
            QueueFull: too many uploads wait already; this one was not looked at.
            SenderError: as `decode`; `NotAChestXray` where the settings say that such are refused.
        """
        return await self._classify(_Upload(data))

    async def explain(self, data: bytes, name: str | None = None) -> Explanation:
        """The same, and the picture with the heat map of the class `name` laid over it.

        None is the class that the model finds likeliest.

        Raises:
            MalformedRequest: the model knows no such class.
            NotExplainable: its answers cannot be led back to places.
            QueueFull, SenderError: as `classify`.
        """
        classes = self.classifier.contract.classes
        if name is not None and name not in classes:
            raise MalformedRequest(f"The model knows no such class; it knows {', '.join(classes)}.")
        upload = _Upload(data, keeps_picture=True)
        prediction = await self._classify(upload)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._decoding, self._draw, upload, prediction, name or prediction.label
        )

    def close(self) -> None:
        """Let the threads go; what is still queued is dropped."""
        self._inference.shutdown(wait=False, cancel_futures=True)

    async def _classify(self, upload: _Upload) -> Prediction:
        loop = asyncio.get_running_loop()
        prediction = await self._batcher.submit(
            lambda: loop.run_in_executor(self._decoding, self._decode, upload)
        )
        verdict = prediction.verdict
        if self._refuses and verdict and verdict.is_strange:
            raise NotAChestXray(*verdict)
        if upload.warnings:
            warnings = upload.warnings + prediction.warnings
            prediction = dataclasses.replace(prediction, warnings=warnings)
        return prediction

    def _decode(self, upload: _Upload) -> NDArray[np.float32]:
        radiograph = decode(upload.data, max_pixels=self._max_pixels)
        upload.warnings = radiograph.warnings
        if upload.keeps_picture:
            upload.picture = thumbnail(radiograph.image)
        return to_input(radiograph.image, self.classifier.contract)

    def _draw(self, upload: _Upload, prediction: Prediction, name: str) -> Explanation:
        picture = upload.picture
        assert picture is not None  # noqa: S101  # `_decode` has run
        return Explanation(
            prediction,
            overlay(
                ImageOps.invert(picture) if prediction.is_negative else picture,
                self.classifier.heat_map(prediction, name),
                label=name,
                probability=prediction.probabilities[name],
            ),
        )


class Explanation(NamedTuple):
    """An answer, and where it comes from: a PNG file, the picture under its heat map."""

    prediction: Prediction
    png: bytes


@dataclasses.dataclass
class _Upload:
    """A file on its road, and what of it is wanted once the model has answered."""

    data: bytes
    keeps_picture: bool = False
    warnings: tuple[str, ...] = ()
    picture: Image.Image | None = None
