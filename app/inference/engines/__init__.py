"""How a checkpoint runs: which engine, and its making."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from app.inference.engines.known_answers import departure, hold
from app.runtime.devices import usable_cpus, visible_gpus
from app.xray.errors import EngineError
from app.xray.graph.plan import F32, Plan
from app.xray.graph.runtime import available_devices, computes_bf16

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.inference.engines.engine import Device, Engine, Kind
    from app.inference.engines.openvino import OpenVINOEngine
    from app.settings import PrecisionSetting
    from app.xray.checkpoint import Checkpoint
    from app.xray.graph.graph import Graph

log = logging.getLogger(__name__)

_BF16_TOLERANCE: Final = 0.05
"""How far bf16 may move a probability of a probe picture, as when the contract's cut was found."""


def create_engine(
    checkpoint: Checkpoint,
    kind: Kind = "auto",
    *,
    device: Device = "auto",
    precision: PrecisionSetting = "auto",
    graph_of: Callable[[Checkpoint], Graph],
) -> Engine:
    """Load `checkpoint` into an engine of `kind` on `device`, held against its known answers.

    "auto" takes TensorFlow where it finds an NVIDIA GPU and OpenVINO elsewhere, which runs what
    `graph_of` makes of the checkpoint. Without such a GPU, TensorFlow is not even imported here.

    Raises:
        CheckpointCorrupt: the network cannot be rebuilt.
        EngineError: the device or the precision that is demanded is not here, TensorFlow is needed
            and not installed, OpenVINO cannot run the network, or the engine's answers depart
            from those that the checkpoint carries.
    """
    if kind == "tensorflow" or (kind == "auto" and device == "gpu"):
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
    if device == "gpu" and not any(name.startswith("GPU") for name in available_devices()):
        raise EngineError(
            "CXR_ENGINE=openvino CXR_DEVICE=gpu: OpenVINO sees no GPU of Intel's here, but "
            f"{', '.join(available_devices())}; CXR_ENGINE=tensorflow runs on one of NVIDIA's"
        )
    return _openvino(checkpoint, graph_of, precision, "gpu" if device == "gpu" else "cpu")


def _openvino(
    checkpoint: Checkpoint,
    graph_of: Callable[[Checkpoint], Graph],
    precision: PrecisionSetting,
    device: str,
) -> Engine:
    from app.inference.engines.openvino import OpenVINOEngine

    plan = _plan(checkpoint, precision, device)
    graph = graph_of(checkpoint)

    def make(plan: Plan, threads: int) -> OpenVINOEngine:
        try:
            return OpenVINOEngine(graph, plan, threads=threads, device=device)
        except RuntimeError as error:
            raise EngineError(
                f"{checkpoint.path}: OpenVINO cannot run the network: {error}; "
                "CXR_ENGINE=tensorflow serves it"
            ) from error

    # In full precision first, whatever is served: that is what the known answers are held to.
    exact = make(F32, 1 if plan != F32 else usable_cpus())
    difference = hold(exact, checkpoint)
    if graph.layout_reason:
        log.warning(
            "%s runs with its channels last, which takes longer: %s",
            checkpoint.path,
            graph.layout_reason,
        )
    if difference is None:
        log.warning(
            "%s carries no known answers: %s",
            checkpoint.path,
            "its answers are held against nothing"
            if graph.layouts_differ is None
            else "two layouts of its network were held against each other",
        )
    engine = (
        exact if plan == F32 else _lower(checkpoint, make, plan, is_demanded=precision != "auto")
    )
    if difference is not None:
        engine.held_against, engine.largest_difference = "known answers", difference
    elif graph.layouts_differ is not None:
        engine.held_against, engine.largest_difference = "other layout", graph.layouts_differ
    return engine


def _plan(checkpoint: Checkpoint, precision: PrecisionSetting, device: str) -> Plan:
    """What to compute in, as far as contract and device allow."""
    found = checkpoint.contract.precisions.get("bf16")
    if precision == "f32" or (precision == "auto" and (found is None or device == "gpu")):
        return F32
    if not computes_bf16(device.upper()):
        if precision == "bf16":
            raise EngineError(
                f"CXR_PRECISION=bf16: this {device.upper()} does not compute in bf16; expected "
                "auto or f32 here"
            )
        return F32
    return Plan("bf16", found.from_layer if precision == "auto" and found else None)


def _lower(
    checkpoint: Checkpoint,
    make: Callable[[Plan, int], OpenVINOEngine],
    plan: Plan,
    *,
    is_demanded: bool,
) -> OpenVINOEngine:
    """The engine in a lower precision; in full where that moves the known answers too far."""
    engine = make(plan, usable_cpus())
    if is_demanded:
        log.warning(
            "CXR_PRECISION=bf16: all of the network runs in bf16, whatever that does to its answers"
        )
        return engine
    try:
        moved = departure(engine, checkpoint)
        reason = f"it moves a probability by {moved:.2g}" if moved else ""
        if not moved or moved <= _BF16_TOLERANCE:
            return engine
    except EngineError as error:
        reason = str(error)
    log.warning("%s runs in f32, not in %s: %s", checkpoint.path, plan.name, reason)
    return make(F32, usable_cpus())


def _tensorflow(checkpoint: Checkpoint, device: Device) -> Engine:
    if find_spec("tensorflow") is None:
        raise EngineError(
            "TensorFlow is not installed here (make install USE=tensorflow, or USE=gpu); without "
            "it CXR_ENGINE=openvino serves"
        )
    from app.inference.engines.tensorflow import TensorFlowEngine

    engine = TensorFlowEngine(checkpoint, device=device)
    engine.largest_difference = hold(engine, checkpoint)
    engine.held_against = None if engine.largest_difference is None else "known answers"
    return engine
