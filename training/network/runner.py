"""A network, run over pictures in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from app.xray.errors import TrainingError
from app.xray.gate import summarise
from app.xray.network import expose_features
from app.xray.preprocess import rescale
from app.xray.probes import draw_probes
from training.network.device import running_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from app.xray.contract import ModelContract

    Track = Callable[[Iterator[int], int], Iterable[int]]


class Answers(NamedTuple):
    """What a network makes of n pictures, all float32."""

    raw: NDArray[np.float32]
    """(n, classes): probabilities as the network gives them, not calibrated."""
    pooled: NDArray[np.float32]
    """(n, features): what the head sees."""
    summaries: NDArray[np.float32]
    """(n, dimensions): what the gate sees, see `app.xray.gate.summarise`."""


class Runner:
    """Runs `network`, whose weights it shares, on pictures rescaled as `contract` says.

    `track` wraps the numbers of the batches as they are run, for a progress bar; it gets their
    count too.
    """

    def __init__(
        self,
        network: Any,
        contract: ModelContract,
        track: Track = lambda batches, _total: batches,
    ) -> None:
        self._contract = contract
        self._exposed = expose_features(network)
        self._track = track
        self._batch = running_batch()

    def known_answers(self) -> tuple[tuple[float, ...], ...]:
        """What a contract carries for whoever runs the network elsewhere: see `ModelContract`.

        Raises:
            TrainingError: as `run`.
        """
        answers = self.run(draw_probes(self._contract)).raw
        return tuple(tuple(map(float, answer)) for answer in answers)

    def run(self, pixels: NDArray[np.uint8] | NDArray[np.float32]) -> Answers:
        """Answers for pictures (n, height, width, channels) of 0 to 255.

        Raises:
            TrainingError: the network gives no numbers, as one does whose training diverged.
        """
        found: list[tuple[NDArray[np.float32], ...]] = []
        count = -(-len(pixels) // self._batch)
        for index in self._track(iter(range(count)), count):
            batch = rescale(pixels[index * self._batch : (index + 1) * self._batch], self._contract)
            outputs = self._exposed.predict_on_batch(batch)
            summaries = summarise(outputs["feature_map"])
            raw = self._contract.probabilities_of(outputs["probabilities"])
            found.append((raw, outputs["pooled"], summaries))
        answers = Answers(*map(np.concatenate, zip(*found, strict=True)))
        if not np.isfinite(answers.raw).all():
            raise TrainingError("the network's probabilities are not finite; its training diverged")
        return answers
