"""What uploads may take in memory, all together."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.inference.batching import QueueFull

if TYPE_CHECKING:
    from collections.abc import Iterator


class UploadMemory:
    """Counts the bytes that are held, of uploads that arrive and of those that wait."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """One upload's part, given back at the end of the block."""
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.held

    def refuse_unless_free(self, count: int) -> None:
        """Hold `count` bytes against what is free, without taking them.

        Raises:
            QueueFull: there are not as many.
        """
        if self.held + count > self._max_bytes:
            raise QueueFull("Uploads take all the memory they may; try again shortly.")


class Share:
    """What one upload holds."""

    def __init__(self, memory: UploadMemory) -> None:
        self._memory = memory
        self.held = 0

    def expect(self, count: int) -> None:
        """Look whether `count` bytes that are announced would find room now; raises as `take`."""
        self._memory.refuse_unless_free(count)

    def take(self, count: int) -> None:
        """Hold `count` bytes more.

        Raises:
            QueueFull: there is no room for them.
        """
        self._memory.refuse_unless_free(count)
        self._memory.held += count
        self.held += count
