"""A checkpoint -> OpenVINO's graph of it, by Keras' own OpenVINO backend.

For a process of its own: it takes the backend that Keras is imported with, and the time and memory
that a stranger's network takes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.xray.checkpoint.read import brief, refuse_unless_probabilities
from app.xray.errors import CheckpointCorrupt, EngineError, NotExplainable
from app.xray.grad_cam import take_head
from app.xray.graph.graph import INPUT, OUTPUTS, Graph, cut_name
from app.xray.graph.lacking import INSTEAD, cause, lacking
from app.xray.graph.layout import ChannelsFirst, channels_first, channels_last
from app.xray.graph.runtime import Threads, compile_graph, import_openvino
from app.xray.network import build_network, expose_features, import_keras
from app.xray.preprocess import rescale
from app.xray.probes import draw_probes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.xray.checkpoint import Checkpoint
    from app.xray.contract import ModelContract

    Answers = dict[str, NDArray[np.float32]]

LAYOUT_TOLERANCE: Final = 1e-5
"""How far a probability may lie from the other layout's: rounding, in another order."""
_WEIGHTED: Final = frozenset({"Conv2D", "DepthwiseConv2D", "SeparableConv2D"})
_NOT_NEEDED: Final = ("matplotlib", "pandas", "sklearn", "tensorflow")
"""What Keras imports where it finds it, for parts of it that make no graph; it takes seconds."""
_STOOD_IN_FOR: Final = ("scipy", "scipy.signal")
"""What the backend imports for windows of Fourier transforms, which no layer that is loaded has: a
second of each start, and a hundred megabytes of each installation."""


class _NotHere(MetaPathFinder):
    """Has the import system not find `_NOT_NEEDED`, as where they are not installed."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Raise ModuleNotFoundError for those, and leave every other to the next finder."""
        if fullname in _NOT_NEEDED:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def use_openvino_backend() -> None:
    """Have Keras, which must not be imported yet, run on OpenVINO in this process.

    Raises:
        EngineError: it was imported already, with another backend.
    """
    os.environ["KERAS_BACKEND"] = "openvino"
    sys.meta_path.insert(0, _NotHere())
    for name in _STOOD_IN_FOR:
        sys.modules.setdefault(name, ModuleType(name))
    import_openvino()
    keras = import_keras()
    keras.config.disable_traceback_filtering()  # a traceback tells which layer could not be traced
    backend = keras.backend.backend()
    if backend != "openvino":
        raise EngineError(f"Keras runs on {backend} in this process already")


def export_graph(checkpoint: Checkpoint) -> Graph:
    """OpenVINO's graph of the network in `checkpoint`, and the numbers of its head.

    It is laid out with its channels first where that graph gives, for the probe pictures, the
    probabilities of the one that has them last.

    Raises:
        CheckpointCorrupt: the network cannot be rebuilt, or gives no probabilities.
        CheckpointRefused: it would take too much memory.
        EngineError: a layer, which is named, is not in the backend, or OpenVINO refuses the graph.
    """
    use_openvino_backend()
    try:
        network = build_network(checkpoint)
    except CheckpointCorrupt as error:
        if isinstance(error.__cause__, NotImplementedError):
            raise lacking(checkpoint, error.__cause__) from error
        raise
    plain = expose_features(network, before=_is_weighted)
    traced = _trace(plain, checkpoint)
    probes = rescale(draw_probes(checkpoint.contract), checkpoint.contract)
    expected = _answers(traced, probes, checkpoint)
    refuse_unless_probabilities(expected["probabilities"], checkpoint)
    chosen, reason, difference = traced, None, None
    try:
        turned = _turn(network, checkpoint)
        difference = _difference(expected, _answers(turned, probes, checkpoint))
    except Exception as error:  # Keras and OpenVINO raise whatever a layer leads them to
        reason = f"it cannot be laid out so: {brief(error)}"
    else:
        if difference <= LAYOUT_TOLERANCE:
            chosen = turned
        else:
            reason = f"its answers then depart by up to {difference:.2g}"
    head: Any
    try:
        output = checkpoint.contract.output
        head = take_head(plain, expected.get("pooled"), expected["probabilities"], output)
        not_explainable = None
    except NotExplainable as error:
        head, not_explainable = None, str(error)
    structure, weights = _serialize(chosen)
    return Graph(
        structure=structure,
        weights=weights,
        layout="channels last" if reason else "channels first",
        layout_reason=reason,
        layers=_places(plain),
        head=head,
        not_explainable=not_explainable,
        layouts_differ=difference,
    )


def _is_weighted(layer: Any) -> bool:
    return type(layer).__name__ in _WEIGHTED


def _places(exposed: Any) -> tuple[str, ...]:
    """Names of the layers before which the graph may be cut, in order."""
    return tuple(
        name.removeprefix("before/") for name in exposed.output if name.startswith("before/")
    )


def _turn(network: Any, checkpoint: Checkpoint) -> Any:
    """The traced graph of `network` with its channels first."""
    keras = import_keras()
    turned = expose_features(network, layout=ChannelsFirst(), before=_is_weighted)
    picture = keras.Input(checkpoint.contract.input_shape)
    outputs = dict(turned(channels_first(picture)))
    if "feature_map" in outputs:
        outputs["feature_map"] = channels_last(outputs["feature_map"])
    return _trace(keras.Model(picture, outputs), checkpoint)


def _trace(exposed: Any, checkpoint: Checkpoint) -> Any:
    """The `openvino.Model` of a network that `expose_features` gave, its tensors named.

    Keras' own export loses the names of several outputs, and writes files.
    """
    ov = import_openvino()
    from keras.src.backend.openvino.core import OpenVINOKerasTensor
    from openvino import opset16 as operations
    from openvino._offline_transformations import apply_moc_transformations

    picture = operations.parameter([1, *checkpoint.contract.input_shape], ov.Type.f32)
    picture.set_friendly_name(INPUT)
    try:
        made = exposed(OpenVINOKerasTensor(picture.output(0)))
    except Exception as error:  # the backend raises whatever a layer leads it to
        raise lacking(checkpoint, error) from error
    for index, name in enumerate(_places(exposed)):
        made[f"before/{name}"].output.get_tensor().add_names({cut_name(index)})
    results = []
    for name in OUTPUTS:
        if name in made:
            output = made[name].output
            if name == "probabilities":
                output = _probabilities(output, checkpoint.contract, operations)
            result = operations.result(output)
            result.set_friendly_name(name)
            result.output(0).get_tensor().add_names({name})
            results.append(result)
    model = ov.Model(results, [picture], "network")
    # Folds what is constant, and batch normalization into weights: here, so that whoever compiles
    # it several times need not do so each time, and hold each result.
    apply_moc_transformations(model, cf=True)
    return model


def _probabilities(numbers: Any, contract: ModelContract, operations: Any) -> Any:
    """As `ModelContract.probabilities_of`, in OpenVINO's operations."""
    one = np.ones((1, 1), np.float32)
    if contract.output == "sigmoid-one":
        return operations.concat([operations.subtract(one, numbers), numbers], 1).output(0)
    if contract.output == "logits":
        if numbers.get_partial_shape()[1] == 1:
            numbers = operations.concat([operations.multiply(0 * one, numbers), numbers], 1)
        return operations.softmax(numbers, 1).output(0)
    return numbers


def _answers(model: Any, probes: NDArray[np.float32], checkpoint: Checkpoint) -> Answers:
    try:
        compiled = compile_graph(model, threads=Threads(1, os.cpu_count() or 1))
        found = [compiled(probe[None]) for probe in probes]
    except RuntimeError as error:
        raise EngineError(
            f"{checkpoint.path}: OpenVINO refuses the graph: {cause(error)}; {INSTEAD}"
        ) from error
    return {
        name: np.concatenate([answer[name] for answer in found])
        for name in OUTPUTS
        if name in {name for output in compiled.outputs for name in output.names}
    }


def _difference(expected: Answers, found: Answers) -> float:
    """Between probabilities; the features, whose numbers are of any size, must come near too."""
    if expected.keys() != found.keys():
        return float("inf")
    for name in expected.keys() - {"probabilities"}:
        reach = float(np.abs(expected[name]).max())
        if not np.allclose(expected[name], found[name], rtol=0, atol=1e-3 * reach):
            return float("inf")
    return float(np.abs(expected["probabilities"] - found["probabilities"]).max())


def _serialize(model: Any) -> tuple[bytes, bytes]:
    """The graph's two files, as OpenVINO writes them; on Linux they lie in memory alone.

    It names formats by their endings, so that there they are links with names, to files without.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="cxr-graph-") as folder:
            paths = Path(folder) / "graph.xml", Path(folder) / "graph.bin"
            in_memory = []
            if hasattr(os, "memfd_create"):
                for path in paths:
                    file = os.fdopen(os.memfd_create(path.name), "rb")
                    in_memory.append(file)
                    path.symlink_to(f"/proc/self/fd/{file.fileno()}")
            import_openvino().serialize(model, *paths)
            structure, weights = (path.read_bytes() for path in paths)
            for file in in_memory:
                file.close()
    except OSError as error:
        raise EngineError(
            f"the graph cannot be written, even to a temporary folder: {error}"
        ) from error
    return structure, weights
