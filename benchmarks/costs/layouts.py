"""`python -m benchmarks.costs.layouts`: which networks of keras.applications run channels first."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np
from rich.console import Console

from app.runtime.devices import usable_cpus
from app.xray.checkpoint import read_checkpoint
from app.xray.contract import ModelContract
from app.xray.errors import CxrError
from app.xray.graph.export import export_graph, use_openvino_backend
from app.xray.graph.runtime import Threads, compile_graph, read_graph
from app.xray.network import import_keras

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from app.xray.graph.graph import Graph

NETWORKS: Final = (
    "MobileNet MobileNetV2 MobileNetV3Small MobileNetV3Large EfficientNetB0 EfficientNetV2B0 "
    "ResNet50 ResNet50V2 DenseNet121 InceptionV3 Xception NASNetMobile VGG16 InceptionResNetV2 "
    "ConvNeXtTiny"
).split()
SIDE: Final = 224
PICTURES: Final = 20


def main() -> None:
    """Build each with random weights, and print a table in Markdown, a line at a time."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs.layouts", description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    options = parser.parse_args()
    use_openvino_backend()
    console = Console(width=200)
    console.print(
        f"| network, {usable_cpus()} CPUs | layout | largest difference | exporting, s "
        "| CPU ms a picture |\n| --- | --- | --- | --- | --- |",
        soft_wrap=True,
    )
    for name in options.networks:
        console.print(f"| {name} | {' | '.join(_measure(name))} |", markup=False, soft_wrap=True)


def _measure(name: str) -> Iterator[str]:
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = _save(name, Path(folder) / "model.h5")
            start = time.perf_counter()
            graph = export_graph(read_checkpoint(path))
    except CxrError as error:
        yield f"not served: {str(error).partition(': ')[2]}"
        return
    yield graph.layout if graph.layout_reason is None else f"{graph.layout}: {graph.layout_reason}"
    yield "" if graph.layouts_differ is None else f"{graph.layouts_differ:.1g}"
    yield f"{time.perf_counter() - start:.1f}"
    yield f"{_cpu_ms(graph):.1f}"


def _save(name: str, path: Path) -> Path:
    keras = import_keras()
    keras.utils.set_random_seed(0)
    make: Any = getattr(keras.applications, name)
    options = {"include_preprocessing": False} if name.startswith("MobileNetV3") else {}
    body = make(
        input_shape=(SIDE, SIDE, 3), include_top=False, weights=None, pooling="avg", **options
    )
    _enliven(body)
    dense = keras.layers.Dense(3, activation="softmax")
    network = keras.Model(body.input, dense(body.output))
    reach = np.linalg.norm(body.predict(_picture(), verbose=0))
    rng = np.random.default_rng(1)
    dense.set_weights([rng.normal(scale=3 / reach, size=dense.kernel.shape), np.zeros(3)])
    network.save(path)
    contract = ModelContract(
        classes=("A", "B", "C"), input_size=(SIDE, SIDE), resize="box", scale=1 / 255
    )
    with h5py.File(path, "r+") as file:
        contract.write(file)
    return path


def _enliven(body: Any) -> None:
    """Weights by which a signal passes all layers (He et al. 2015): by Keras' own it dies out."""
    rng = np.random.default_rng(0)
    for weight in body.weights:
        if "kernel" in weight.name:
            places = 2 if "depthwise" in weight.path else len(weight.shape) - 1
            deviation = np.sqrt(2 / np.prod(weight.shape[:places]))
            weight.assign(rng.normal(scale=deviation, size=weight.shape).astype(np.float32))


def _picture() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((1, SIDE, SIDE, 3), dtype=np.float32)


def _cpu_ms(graph: Graph) -> float:
    """CPU milliseconds of one picture, on one thread, in float32."""
    compiled = compile_graph(read_graph(graph), threads=Threads(1, 1))
    picture = _picture()
    compiled(picture)
    start = time.process_time()
    for _ in range(PICTURES):
        compiled(picture)
    return (time.process_time() - start) / PICTURES * 1000


if __name__ == "__main__":
    main()
