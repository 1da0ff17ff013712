"""What a whole network would take, added up before any of it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from app.xray.checkpoint.architecture.given import Cost, Given, Shape
from app.xray.checkpoint.architecture.graph import PICTURE, Ref
from app.xray.checkpoint.architecture.shapes import cost_of
from app.xray.errors import CheckpointRefused

if TYPE_CHECKING:
    from app.xray.checkpoint.architecture.graph import Architecture, Call

BYTES_A_NUMBER: Final = 4
_MAX_RANK: Final = 6
_LIMITS: Final = {
    "weights": 1 << 30,
    "the output of one layer": 1 << 28,
    "what is alive at once": 1 << 29,
    "the outputs of all layers": 1 << 33,
}
"""In bytes, for one picture. EfficientNetB7 at 600 pixels, the largest of keras.applications, takes
a quarter of each or less."""
_MAX_MULTIPLICATIONS: Final = 300_000_000_000
"""For one picture: EfficientNetB7 has 37 thousand million of them."""


class Sums(NamedTuple):
    """Of one network, for one picture; numbers, each of which is 4 bytes."""

    costs: tuple[Cost, ...]
    """Of each call."""
    weights: int
    largest: int
    """Of the outputs, and of what a layer makes on the way."""
    alive: int
    """The most that is held at once, where each output is let go after its last use."""
    outputs: int
    multiplications: int

    def shape(self, ref: Ref, picture: Shape) -> Shape:
        """Of what a call gives for one `picture`."""
        return picture if ref == PICTURE else self.costs[ref.call].shape


def add_up(network: Architecture, picture: Shape) -> Sums:
    """What `network` takes for a picture of (height, width, channels); it is not built.

    Weights count once for each call, since a graph holds them so.

    Raises:
        CheckpointRefused: more than is built, of memory or of computing; says of what how much.
        CheckpointCorrupt: a layer cannot take what it would get, and is named.
    """
    costs: list[Cost] = []
    last_use = _last_uses(network)
    weights = largest = outputs = multiplications = 0
    held = alive = _numbers(picture)
    for index, call in enumerate(network.calls):
        layer = network.layers[call.layer]
        given = Given(layer.kind, layer.name[:60], layer.settings)
        shapes = [picture if ref == PICTURE else costs[ref.call].shape for ref in call.refs]
        cost = cost_of(given, [*shapes, *_constants(given, call, len(shapes[0]))])
        if len(cost.shape) > _MAX_RANK:
            raise CheckpointRefused(f"layer {layer.name[:60]!r} gives {len(cost.shape)} axes")
        made = _numbers(cost.shape)
        costs.append(cost)
        weights += sum(_numbers(shape) for _, shape in cost.weights)
        largest = max(largest, made, cost.hidden)
        outputs += made + cost.hidden
        multiplications += cost.multiplications + made
        held += made
        alive = max(alive, held + cost.hidden)
        for ref in set(call.refs):
            if last_use[ref] == index:
                held -= _numbers(picture if ref == PICTURE else costs[ref.call].shape)
        found = (weights, largest, alive, outputs)
        for count, (what, limit) in zip(found, _LIMITS.items(), strict=True):
            if count * BYTES_A_NUMBER > limit:
                raise CheckpointRefused(
                    f"up to layer {layer.name[:60]!r}, {what} would take more than {limit:,} bytes"
                )
        if multiplications > _MAX_MULTIPLICATIONS:
            raise CheckpointRefused(
                f"up to layer {layer.name[:60]!r}, one picture would take more than "
                f"{_MAX_MULTIPLICATIONS:,} multiplications"
            )
    return Sums(tuple(costs), weights, largest, alive, outputs, multiplications)


def _constants(given: Given, call: Call, rank: int) -> list[Shape]:
    """Shapes of the numbers that stand in a call, laid beside the last axes of a map of `rank`."""
    found = []
    for operand in call.operands:
        if not isinstance(operand, Ref):
            try:
                shape = np.shape(operand)
            except ValueError as error:
                raise given.wrong("takes lists of several lengths") from error
            if len(shape) > rank:
                raise given.wrong(f"takes numbers of {len(shape)} axes")
            found.append((1,) * (rank - len(shape)) + shape)
    return found


def _last_uses(network: Architecture) -> dict[Ref, int]:
    uses = {ref: index for index, call in enumerate(network.calls) for ref in call.refs}
    uses[network.output] = len(network.calls)
    return uses


def _numbers(shape: Shape) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count
