"""`export`: a checkpoint in the format of another runtime, held against the network itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.xray.errors import TrainingError
from training.network.formats import FORMATS

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

HELP: Final = "a checkpoint as ONNX, OpenVINO or TFLite, held against the network"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `export`."""
    parser.add_argument("--model", type=Path, default=Path("models/best_model.h5"), metavar="FILE")
    parser.add_argument("--format", choices=tuple(FORMATS), required=True)
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="(beside the checkpoint, with the format's ending)"
    )


def run(options: argparse.Namespace, console: Console) -> None:
    """Write the file and the contract beside it, and say how far it is from the network.

    Raises:
        CheckpointError: as `read_checkpoint` and `build_network`.
        TrainingError: as `export_network`; or `--out` has another ending, or no folder to be in.
    """
    ending = FORMATS[options.format].ending
    out = options.out or options.model.with_suffix(ending)
    if out.suffix != ending:
        raise TrainingError(f"--out: expected a name that ends in {ending}, not {out}")
    if not out.absolute().parent.is_dir():
        raise TrainingError(f"--out: {out.parent}: no such folder")

    from app.xray.checkpoint import read_checkpoint
    from app.xray.network import build_network
    from training.network.formats import export_network

    checkpoint = read_checkpoint(options.model)
    apart = export_network(build_network(checkpoint), checkpoint.contract, options.format, out)
    described = out.with_suffix(".contract.json")
    try:
        described.write_text(checkpoint.contract.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{described}: cannot be written: {error.strerror}") from error
    console.print(
        f"written to {out}: on the probe pictures its probabilities are at most {apart:.1e} from "
        f"those of the network; what they mean stands in {described}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
