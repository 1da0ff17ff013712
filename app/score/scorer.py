"""Pictures to rows, many at once, on the very road of `POST /predict`."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Self

from app.inference.decoder_pool import Decoding
from app.inference.pipeline import Pipeline
from app.score.source import printable, read_picture
from app.server.problems import TABLE
from app.xray.errors import DecodingStopped, MalformedRequest, NotAChestXray, SenderError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from types import TracebackType

    from app.inference.classifier import Classifier, Prediction
    from app.settings import Settings

Row = dict[str, Any]
"""A row of the table; a column that is missing is null."""

_BESIDE_THE_MODEL: Final = 16
"""Pictures that are being read or decoded while the model has what it can take."""
_AT_ONCE: Final = 8
"""Pictures in a call, though the engine run them one by one: nobody waits for the first of them."""


class Scorer:
    """A loaded model with its threads; an async context manager, which lets them go."""

    def __init__(self, classifier: Classifier, settings: Settings) -> None:
        batching = classifier.engine.batching
        size = settings.max_batch_size or max(_AT_ONCE, batching.max_size)
        self._in_flight = _BESIDE_THE_MODEL + 2 * size * (batching.threads + batching.ahead)
        self._max_bytes = settings.max_upload_bytes
        none_refused = 2 * self._in_flight
        roomy = settings.model_copy(update={"max_queue": none_refused, "max_batch_size": size})
        self._decoding = Decoding(roomy)
        self._pipeline = Pipeline(classifier, roomy, self._decoding)
        self._readers = ThreadPoolExecutor(_BESIDE_THE_MODEL, "reading")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._pipeline.close()
        self._decoding.close()

    async def score_all(self, addresses: Iterable[str]) -> AsyncIterator[Row]:
        """A row for each picture, in order; so many are under way that the model never waits."""
        under_way: deque[asyncio.Task[Row]] = deque()
        try:
            for address in addresses:
                if len(under_way) == self._in_flight:
                    yield await under_way.popleft()
                under_way.append(asyncio.create_task(self.score(address)))
            while under_way:
                yield await under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()

    async def score(self, address: str) -> Row:
        """The row of one picture; what keeps it from being answered stands in its `error`.

        Raises OperatorError, and TemporaryError but for `DecodingStopped`: no picture's fault.
        """
        row: Row = {"path": printable(address)}
        loop = asyncio.get_running_loop()
        try:
            data = await loop.run_in_executor(self._readers, read_picture, address, self._max_bytes)
        except SenderError as error:
            return row | {"error": _say(error)}
        except Exception as error:  # file systems raise errors of their own
            return row | {"error": printable(f"unreadable: {type(error).__name__}: {error}")}
        try:
            if not data:
                raise MalformedRequest("The file is empty.")
            return row | _answer(await self._pipeline.classify(data))
        except NotAChestXray as error:
            return row | {"error": _say(error), "gate_score": error.score}
        except (SenderError, DecodingStopped) as error:
            return row | {"error": _say(error)}


def _answer(prediction: Prediction) -> Row:
    probabilities = {f"probability_{name}": p for name, p in prediction.probabilities.items()}
    return {
        "label": prediction.label,
        "confidence": prediction.confidence,
        **probabilities,
        "prediction_set": list(prediction.prediction_set),
        "uncertain": prediction.uncertain,
        "gate_score": prediction.verdict.score if prediction.verdict else None,
        "warnings": list(prediction.warnings),
    }


def _say(error: SenderError | DecodingStopped) -> str:
    return f"{TABLE[type(error)].kind}: {error}"
