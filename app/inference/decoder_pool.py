"""Uploads are decoded here: what takes no time in threads, the rest in processes that can be ended.

A thread cannot be stopped, and C code cannot be trusted with whatever is sent: a DICOM file of
three kilobytes can keep a decoder busy for many seconds, or crash it. So threads get what takes
time and memory by its pixels alone.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from app.inference.batching import QueueFull
from app.inference.expendable import Death, Expendable
from app.inference.overlay import thumbnail
from app.runtime.devices import step_back, usable_cpus
from app.xray.decode import decode
from app.xray.decode.effort import takes_long
from app.xray.errors import DecodingStopped
from app.xray.preprocess import decode_for, to_input

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from app.settings import Settings
    from app.xray.contract import ModelContract

log = logging.getLogger(__name__)

T = TypeVar("T")

_AT_LEAST: Final = 2
"""Threads, and processes: so that one picture that takes long does not hold up all others."""
_MOST_PROCESSES: Final = 4
"""Each takes some 80 MB once the first DICOM file has come."""
_PROCESS_BYTES: Final = 300_000_000
_BYTES_PER_PIXEL: Final = 20
"""What decoders take: JPEG 2000 up to 19 for gray (twice that for color), all others up to 16."""


class TakesLong(Exception):
    """A file is not known to be decoded in no time; a thread leaves it to a process."""


class Decoded(NamedTuple):
    """Model input, float32 (height, width, 3), and what else is wanted of an upload.

    `picture` is a small copy for display, its longest side at most the one that was asked for.
    """

    model_input: NDArray[np.float32]
    warnings: tuple[str, ...]
    picture: Image.Image | None


class Decoding:
    """The threads and processes that decode, shared by all models that are served.

    The processes are started when the first picture for them comes.
    """

    def __init__(
        self, settings: Settings, on_death: Callable[[Death], None] = lambda _: None
    ) -> None:
        """`on_death` is told what ended a process before its work was done."""
        cpus = usable_cpus()
        self._max_pixels = settings.max_pixels
        self._max_apart = max(1, settings.max_queue // 2)
        self.threads = ThreadPoolExecutor(max(_AT_LEAST, cpus), "decoding", step_back)
        self._processes = Expendable(
            max(_AT_LEAST, min(cpus, _MOST_PROCESSES)),
            cpu_s=settings.decode_timeout_s,
            memory_bytes=_PROCESS_BYTES + _BYTES_PER_PIXEL * settings.max_pixels,
            on_death=on_death,
        )
        self._apart = 0

    async def quickly(
        self, data: bytes, contract: ModelContract, *, picture_side: int | None
    ) -> Decoded:
        """Decode in a thread.

        Raises:
            TakesLong: it is not known to take no time: `apart` decodes it.
            SenderError: as `app.xray.decode.file.decode`.
            DecodingStopped: the machine has no memory left.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self.threads, _decode_if_quick, data, contract, self._max_pixels, picture_side
            )
        except MemoryError as error:
            log.warning("no memory to decode an upload")
            raise DecodingStopped(
                "The machine has no memory left to decode it. Try again shortly."
            ) from error

    async def apart(
        self, data: bytes, contract: ModelContract, *, picture_side: int | None
    ) -> Decoded:
        """Decode in a process. Raises as `in_process` and `app.xray.decode.file.decode`."""
        return await self.in_process(decode_upload, data, contract, self._max_pixels, picture_side)

    async def in_process(self, work: Callable[..., T], *arguments: object) -> T:
        """What `work`, a function of a module, makes of `arguments` in a process of its own.

        It is ended where it takes too much CPU time, or its caller is cancelled.

        Raises:
            QueueFull: so many of this kind wait already that others would find no place.
            UnusableImage, DecodingStopped: as `Expendable.run`.
            Exception: what `work` raises.
        """
        if self._apart >= self._max_apart:
            raise QueueFull(
                f"{self._apart} requests that take long are waiting; try again shortly."
            )
        self._apart += 1
        try:
            return await self._processes.run(work, *arguments)
        finally:
            self._apart -= 1

    def close(self) -> None:
        """Let threads and processes go; what is still queued is dropped."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self._processes.close()


def decode_upload(
    data: bytes, contract: ModelContract, max_pixels: int, picture_side: int | None
) -> Decoded:
    """The road from bytes to model input. Raises as `app.xray.decode.file.decode`."""
    radiograph = decode_for(data, contract, max_pixels=max_pixels)
    picture = None
    if picture_side:  # in full, whatever the model is shown
        is_full = contract.decode == "full"
        image = radiograph.image if is_full else decode(data, max_pixels=max_pixels).image
        picture = thumbnail(image, picture_side)
    return Decoded(to_input(radiograph.image, contract), radiograph.warnings, picture)


def _decode_if_quick(
    data: bytes, contract: ModelContract, max_pixels: int, picture_side: int | None
) -> Decoded:
    if takes_long(data):
        raise TakesLong
    return decode_upload(data, contract, max_pixels, picture_side)
