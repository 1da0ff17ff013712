"""A network as a file of another runtime, which is run once to see that it answers the same."""

from __future__ import annotations

import shutil
import sys
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from app.xray.errors import TrainingError
from app.xray.graph.runtime import import_openvino
from app.xray.preprocess import rescale
from app.xray.probes import TOLERANCE, draw_probes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from app.xray.contract import ModelContract

    Run = Callable[[Path, NDArray[np.float32]], NDArray[np.float32]]


def _run_onnx(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: inputs})
    return np.asarray(found)


def import_openvino_converter() -> Any:
    """The `openvino` module with `convert_model`, which Keras' export calls; it sends nothing.

    The converter reports to `openvino_telemetry`, and does without where that is not there.
    """
    openvino = import_openvino()
    if sys.modules.get("openvino.tools", sys) is None:
        del sys.modules["openvino.tools"]
    openvino.convert_model = import_module("openvino.tools.ovc").convert_model
    return openvino


def _run_openvino(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    openvino = import_openvino()

    # Its own choice would be less than float32 where the CPU has it.
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", precise)
    return np.asarray(compiled(inputs)[compiled.output(0)])


def _run_tflite(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(taken["index"], inputs.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(taken["index"], inputs)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(given["index"]))


class Format(NamedTuple):
    """A format: what Keras calls it, how its file ends, what it needs, and how it is run."""

    keras_name: str
    ending: str
    needs: dict[str, str]
    """The modules that write and run it, and the package that each comes in."""
    run: Run


FORMATS: Final = {
    "onnx": Format(
        "onnx",
        ".onnx",
        {"tf2onnx": "tf2onnx", "onnx": "onnx", "onnxruntime": "onnxruntime"},
        _run_onnx,
    ),
    "openvino": Format("openvino", ".xml", {"openvino": "openvino"}, _run_openvino),
    "tflite": Format("litert", ".tflite", {"ai_edge_litert": "ai-edge-litert"}, _run_tflite),
}


def export_network(network: Any, contract: ModelContract, name: str, out: Path) -> float:
    """Write `network` in the format called `name` to `out`, if what is written answers alike.

    The file takes model inputs, float32 (n, height, width, channels), and gives what the network
    gives: probabilities (n, classes), not calibrated, unless the contract says otherwise. Gives
    the largest difference of a probability on the probe pictures, 0 to 1. OpenVINO's weights lie
    in a file beside `out`, `.bin`.

    Raises:
        TrainingError: a package is not there, the library cannot convert the network, what it
            wrote is more than `TOLERANCE` apart, or `out` cannot be written.
    """
    chosen = FORMATS[name]
    if missing := [package for module, package in chosen.needs.items() if not find_spec(module)]:
        raise TrainingError(
            f"--format {name}: needs {' and '.join(missing)}: pip install {' '.join(missing)}"
        )
    inputs = rescale(draw_probes(contract), contract)
    expected = network.predict_on_batch(inputs)
    with tempfile.TemporaryDirectory(prefix="cxr-export-") as folder:
        written = Path(folder) / f"{out.stem}{chosen.ending}"
        try:
            if name == "openvino":
                import_openvino_converter()
            network.export(str(written), format=chosen.keras_name, verbose=False)
            found = chosen.run(written, inputs)
        except Exception as error:  # each library raises what it likes
            raise TrainingError(f"--format {name}: cannot be converted: {error}") from error
        found, expected = (contract.probabilities_of(numbers) for numbers in (found, expected))
        apart = float(np.abs(found - expected).max())
        if not apart <= TOLERANCE:
            raise TrainingError(
                f"--format {name}: a probability is {apart:.2g} from the network's, more than "
                f"{TOLERANCE:g}; nothing was written"
            )
        try:
            for path in Path(folder).iterdir():
                shutil.copyfile(path, out.with_name(path.name))
        except OSError as error:
            raise TrainingError(f"{out}: cannot be written: {error.strerror}") from error
    return apart
