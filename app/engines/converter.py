"""Keras network -> LiteRT model, held against the network that it was made of.

Runs in a process of its own: it loads TensorFlow.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.engines.litert import LiteRTEngine
from app.xray.checkpoint import refuse_unless_distributions
from app.xray.errors import EngineError
from app.xray.network import build_network, expose_features
from app.xray.preprocess import rescale

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from app.xray.checkpoint import Checkpoint
    from app.xray.contract import ModelContract

TOLERANCE: Final = 1e-3
"""How far a compiled model's probability may lie from the reference's."""
_PROBES: Final = 8


def be_a_quiet_child() -> None:
    """Silence this process, whose frameworks talk; leave Ctrl-C to its parent; end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    threading.Thread(target=_end_with_parent, daemon=True).start()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def convert(checkpoint: Checkpoint, path: Path) -> float:
    """Write the LiteRT model of `checkpoint` to `path`; give its largest difference.

    Raises:
        CheckpointCorrupt: the network cannot be rebuilt.
        EngineError: it cannot be converted, or answers otherwise than the network, see `compare`.
    """
    network = build_network(checkpoint)
    path.write_bytes(_to_litert(expose_features(network)))
    probes = rescale(draw_probes(checkpoint.contract), checkpoint.contract)
    reference = np.asarray(network(probes, training=False))
    refuse_unless_distributions(reference, checkpoint)
    return compare(reference, LiteRTEngine(path, threads=1).predict(probes).probabilities)


def compare(reference: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """The largest difference between two engines' probabilities (n, classes) of the same inputs.

    Raises:
        EngineError: it is above `TOLERANCE`, or a label differs.
    """
    difference = float(np.abs(reference - found).max())
    others = int((reference.argmax(axis=1) != found.argmax(axis=1)).sum())
    if not difference <= TOLERANCE or others:
        raise EngineError(
            f"the compiled model departs from TensorFlow by up to {difference:.2g} (allowed: "
            f"{TOLERANCE:g}), with another label for {others} of {len(reference)} pictures; "
            "CXR_ENGINE=tensorflow serves this checkpoint"
        )
    return difference


def draw_probes(contract: ModelContract) -> NDArray[np.uint8]:
    """X-ray-like pictures: uint8 (n, height, width, 3) of 0 to 255.

    Two dark lungs on a bright chest, under a texture whose power falls with the third power of
    frequency, as a radiograph's does (Burgess et al. 2001, Med. Phys. 28, 419).
    """
    height, width = contract.input_size
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = np.inf
    pictures = np.empty((_PROBES, height, width, 3), np.uint8)
    for picture in pictures:
        spectrum = np.fft.fft2(rng.normal(size=(height, width))) / frequency**1.5
        texture = np.fft.ifft2(spectrum).real
        center, breadth, depth = rng.uniform([0.4, 0.25, 0.1], [0.5, 0.35, 0.5])
        lungs = np.exp(-((((np.abs(x) - center) / breadth) ** 2 + (y / 0.7) ** 2) ** 2))
        levels = 0.65 - depth * lungs + 0.1 * texture / texture.std()
        picture[...] = (levels.clip(0, 1) * 255).round()[..., None]
    return pictures


def _to_litert(network: Any) -> bytes:
    import tensorflow as tf

    try:
        converted: bytes = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    except Exception as error:  # the converter raises whatever a layer leads it to
        raise EngineError(f"TensorFlow cannot compile the network: {error}") from error
    return converted
