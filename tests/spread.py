"""How far one computation of a network lies from another that means the same: `tests.bounds`.

    python -m tests.spread

Each network is drawn once, then run by processes that differ in threads, in the instructions that
oneDNN may use, and in the size of a batch. What is printed is the largest difference between any
two of them; of maps, of summaries and of gradients as a share of the largest absolute value.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from app.xray.contract import ModelContract
from app.xray.preprocess import preprocess
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.networks import build_tiny, enliven, model_inputs

SEEDS = (1, 2)
SETTINGS: tuple[tuple[int, dict[str, str]], ...] = (
    (1, {}),
    (2, {}),
    (4, {"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    (2, {"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    (1, {"TF_ENABLE_ONEDNN_OPTS": "0"}),
)
BATCHES = (1, 3, 8)
IS_SHARE = {"probabilities": False, "feature_map": True, "pooled": True, "gradients": True}


def main() -> None:
    found: defaultdict[str, list[np.ndarray]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder)
        command = [sys.executable, "-m", "tests.spread", str(folder)]
        running = [
            subprocess.Popen(
                [*command, str(threads), str(folder / f"{number}.npz")],
                env={**os.environ, **variables},
            )
            for number, (threads, variables) in enumerate(SETTINGS)
        ]
        ended = [process.wait() for process in running]
        assert not any(ended)
        for path in folder.glob("*.npz"):
            with np.load(path) as arrays:
                for key in arrays:
                    found[key.rsplit("/", 1)[0]].append(arrays[key])
    largest: defaultdict[str, float] = defaultdict(float)
    for key, arrays in found.items():
        network, _, quantity = key.split("/")
        scale = np.abs(arrays[0]).max() if IS_SHARE[quantity] else 1.0
        spread = np.ptp(np.stack(arrays), axis=0).max() / scale
        largest[f"{network}, {quantity}"] = max(largest[f"{network}, {quantity}"], float(spread))
    for words, spread in sorted(largest.items()):
        print(f"{words}: {spread:.1e}")  # noqa: T201


def draw(folder: Path) -> None:
    """Tiny networks, and those of 2022, as tests draw them."""
    import keras

    from training.network.export import export_checkpoint
    from training.network.mobilenet import build_mobilenet

    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        contract = ModelContract.recipe_of_2022()
        export_checkpoint(build_tiny(keras), contract, folder / f"tiny-{seed}.h5")
        network = build_mobilenet(3, weights="none")
        enliven(network, pictures()[:3])  # which are much alike: small differences grow
        export_checkpoint(network, contract, folder / f"mobilenet-{seed}.h5")


def pictures() -> np.ndarray:
    """Model inputs as tests have them: four drawn X-rays, and four of noise."""
    contract = ModelContract.recipe_of_2022()
    drawn = [preprocess(encode(draw_radiograph(seed), "JPEG"), contract) for seed in range(4)]
    return np.concatenate([np.stack(drawn), model_inputs(4)])


def run(folder: Path, threads: int, out: Path) -> None:
    """All that the networks in `folder` make of the same pictures, by batches of each size."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from app.xray.checkpoint import read_checkpoint
    from app.xray.grad_cam import build_gradients
    from app.xray.network import build_network, expose_features

    found: dict[str, np.ndarray] = {}
    inputs = pictures()

    def note(name: str, batch: int, outputs: list[dict[str, Any]]) -> None:
        for quantity in outputs[0]:
            parts = [np.asarray(each[quantity]) for each in outputs]
            found[f"{name.replace('-', '/')}/{quantity}/{len(found)}"] = np.concatenate(parts)

    for path in sorted(folder.glob("*-?.h5")):
        exposed = expose_features(build_network(read_checkpoint(path)))
        for batch in BATCHES:
            parts = [inputs[start : start + batch] for start in range(0, len(inputs), batch)]
            note(path.stem, batch, [exposed(tf.constant(part)) for part in parts])
        whole = exposed(inputs)
        # The same features for all, or it would be their spread that is seen.
        pooled = np.abs(np.random.default_rng(0).normal(size=whole["pooled"].shape))
        pooled = tf.constant(pooled.astype(np.float32))
        gradients = build_gradients(exposed, whole["pooled"], np.asarray(whole["probabilities"]))
        for batch in BATCHES:
            parts = [pooled[start : start + batch] for start in range(0, len(inputs), batch)]
            note(path.stem, batch, [{"gradients": gradients(part)} for part in parts])
    np.savez(out, **found)


if __name__ == "__main__":
    if sys.argv[1:]:
        run(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
