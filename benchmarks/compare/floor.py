"""What decoding and the model alone allow: the service without HTTP."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from app.runtime.devices import usable_cpus
from app.xray.preprocess import preprocess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from app.inference.classifier import Classifier


class Floor:
    """Decodes and runs pictures one by one, in as many threads as it is told."""

    def __init__(self, classifier: Classifier) -> None:
        self._contract = classifier.contract
        self._threads = usable_cpus()
        self._engine = classifier.engine

    def requests_per_s(self, picture: bytes, seconds: float) -> float:
        """Pictures a second with all CPUs at work."""
        start = time.perf_counter()
        with ThreadPoolExecutor(self._threads) as pool:
            counts = pool.map(lambda _: self._work(picture, start + seconds), range(self._threads))
            return sum(counts) / (time.perf_counter() - start)

    def pictures_per_s(self, files: Sequence[Path]) -> float:
        """Files a second, each read, decoded and run once, with all CPUs at work."""
        start = time.perf_counter()
        with ThreadPoolExecutor(self._threads) as pool:
            for _ in pool.map(lambda file: self._run(file.read_bytes()), files):
                pass
        return len(files) / (time.perf_counter() - start)

    def latency_ms(self, picture: bytes, seconds: float) -> float:
        """Milliseconds for a picture, one after the other; their mean."""
        start = time.perf_counter()
        count = self._work(picture, start + seconds)
        return (time.perf_counter() - start) / count * 1000

    def _work(self, picture: bytes, until: float) -> int:
        count = 0
        while time.perf_counter() < until:
            self._run(picture)
            count += 1
        return count

    def _run(self, picture: bytes) -> None:
        self._engine.predict(preprocess(picture, self._contract)[None])
