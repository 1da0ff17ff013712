"""How a checkpoint runs: which engine, and its making."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING

from app.runtime.devices import usable_cpus, visible_gpus
from app.xray.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    from app.inference.engines.engine import Device, Engine, Kind
    from app.xray.checkpoint import Checkpoint

log = logging.getLogger(__name__)


def create_engine(
    checkpoint: Checkpoint, kind: Kind = "auto", *, device: Device = "auto", cache_dir: Path
) -> Engine:
    """Load `checkpoint` into an engine of `kind` on `device`.

    "auto" takes TensorFlow where it finds a GPU and LiteRT elsewhere, which runs what TensorFlow
    once compiled into `cache_dir`. Without a GPU, TensorFlow is not even imported here.

    Raises:
        CheckpointCorrupt: the network cannot be rebuilt.
        EngineError: a GPU is demanded and there is none, TensorFlow is needed and not installed,
            or what it compiles answers otherwise than it does.
    """
    if kind == "litert" and device == "gpu":
        raise EngineError("CXR_ENGINE=litert runs on the CPU, but CXR_DEVICE=gpu")
    if kind == "tensorflow" or device == "gpu":
        return _tensorflow(checkpoint, device)
    if kind == "auto" and device == "auto" and visible_gpus():
        try:
            return _tensorflow(checkpoint, "gpu")
        except EngineError as error:
            log.warning(
                "there is a GPU, but the CPU is taken: %s. The requirements of gpu.txt bring what "
                "it takes; CXR_DEVICE=cpu saves this attempt",
                error,
            )

    from app.inference.engines.compiled import compiled_model
    from app.inference.engines.litert import LiteRTEngine

    compiled = compiled_model(checkpoint, cache_dir)
    return LiteRTEngine(
        compiled.path,
        threads=usable_cpus(),
        largest_difference=compiled.largest_difference,
        read_gradients=compiled.read_gradients,
    )


def _tensorflow(checkpoint: Checkpoint, device: Device) -> Engine:
    if find_spec("tensorflow") is None:
        raise EngineError("TensorFlow is not installed here; without it CXR_ENGINE=litert serves")
    from app.inference.engines.tensorflow import TensorFlowEngine

    return TensorFlowEngine(checkpoint, device=device)
