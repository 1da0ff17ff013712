"""A network that Keras' OpenVINO backend, or OpenVINO, cannot take: told by its layer."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from app.xray.checkpoint.read import brief
from app.xray.errors import EngineError
from app.xray.network import import_keras

if TYPE_CHECKING:
    from app.xray.checkpoint import Checkpoint

INSTEAD: Final = (
    "CXR_ENGINE=tensorflow serves this checkpoint, where TensorFlow is installed (make install "
    "USE=tensorflow)"
)


def lacking(checkpoint: Checkpoint, error: BaseException) -> EngineError:
    """What to raise where Keras' backend ended with `error`: names the layer, and what to do."""
    return EngineError(
        f"{checkpoint.path}: Keras' OpenVINO backend lacks what {_layer_of(error)} needs: "
        f"{cause(error)}; {INSTEAD}"
    )


def _layer_of(error: BaseException) -> str:
    """The innermost layer that was being called or built, by its name and class."""
    keras = import_keras()
    found = "the network"
    for frame, _ in traceback.walk_tb(error.__traceback__):
        layer = frame.f_locals.get("self")
        if isinstance(layer, keras.Layer) and not isinstance(layer, keras.Model):
            found = f"layer {brief(layer.name)!r}, a {type(layer).__name__},"
    return found


def cause(error: BaseException) -> str:
    """The first line that says what went wrong, of Keras' many."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return brief(lines[0] if lines else type(error).__name__)
