"""A network as its configuration describes it: layers, and in which order they are called.

Models within the model are laid open, so that there is one list of calls.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Ref(NamedTuple):
    """What the call of this number gives; -1 is the picture."""

    call: int


PICTURE = Ref(-1)


class Layer(NamedTuple):
    """One layer, or one operator, with the settings that decide what it computes."""

    kind: str
    """Keras' name of the layer's class, or `operators`' of the operation."""
    name: str
    """As the file has it."""
    settings: dict[str, Any]
    path: tuple[str, ...] = ()
    """Names of the models around it, the outermost first, and its own; () where none is stored."""
    stored: str = ""
    """Where Keras 3's weights file has it, such as "layers/functional/layers/conv2d_1"."""
    is_trainable: bool = True


class Call(NamedTuple):
    """`layer` is an index. Operands that are no `Ref` are numbers, or lists of such."""

    layer: int
    operands: tuple[Any, ...]

    @property
    def refs(self) -> list[Ref]:
        """What it takes of other calls."""
        return [operand for operand in self.operands if isinstance(operand, Ref)]


class Architecture(NamedTuple):
    """A network with one picture in, and what the call `output` gives out."""

    layers: tuple[Layer, ...]
    calls: tuple[Call, ...]
    input_shape: tuple[int | None, ...]
    """(height, width, channels); None where the file leaves an extent open."""
    output: Ref

    def last(self) -> Layer | None:
        """The layer that gives the output; None where that is the picture itself."""
        return None if self.output == PICTURE else self.layers[self.calls[self.output.call].layer]
