"""The strangers that a gate is fitted to: those of the installed packages, and a folder's."""

from __future__ import annotations

import csv
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np

from app.xray.errors import DatasetError
from app.xray.image_types import SUFFIXES
from app.xray.preprocess import to_pixels, to_rgb
from training.data.dataset import read_picture
from training.evaluation.gate.strangers import strangers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from app.xray.contract import ModelContract

MANIFEST: Final = "manifest.csv"
NO_KIND: Final = "other pictures"


def read_strangers(
    contract: ModelContract, folder: Path | None = None
) -> dict[str, NDArray[np.uint8]]:
    """Strangers by kind, uint8 (n, height, width, 3), in an order in which like stands beside like.

    To those of the installed packages come the pictures in `folder`, which are no frontal chest
    films: of the kind that the columns file and kind of `folder`/manifest.csv say, or else of the
    first folder's name below `folder`. Files that are no pictures are passed over.

    Raises:
        DatasetError: the folder or its manifest cannot be read, or holds no picture.
        TrainingError, ModuleNotFoundError: as `strangers`.
    """
    images = {**strangers()}
    found = {kind: [_to_rgb(image, contract) for image in these] for kind, these in images.items()}
    if folder is not None:
        for kind, these in _read_folder(folder, contract).items():
            found.setdefault(kind, []).extend(these)
    return {kind: np.stack(these) for kind, these in found.items()}


def _read_folder(folder: Path, contract: ModelContract) -> dict[str, list[NDArray[np.uint8]]]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder of strangers")
    kinds = _read_kinds(folder / MANIFEST)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)

    def read(path: Path) -> NDArray[np.uint8] | None:
        picture = read_picture(path)
        return None if isinstance(picture, str) else _to_rgb(picture[1], contract)

    with ThreadPoolExecutor() as pool:
        read_pictures = list(pool.map(read, paths))
    found: defaultdict[str, list[NDArray[np.uint8]]] = defaultdict(list)
    for path, pixels in zip(paths, read_pictures, strict=True):
        name = path.relative_to(folder)
        kind = name.parts[0] if len(name.parts) > 1 else NO_KIND
        if pixels is not None:
            found[kinds.get(name.as_posix(), kind)].append(pixels)
    if not found:
        raise DatasetError(f"{folder}: holds no picture that can be read")
    return found


def _read_kinds(manifest: Path) -> Mapping[str, str]:
    """The kind of each file, {} without a manifest."""
    if not manifest.exists():
        return {}
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            return {row["file"]: row["kind"] for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{manifest}: cannot be read: {error}") from error
    except KeyError as error:
        raise DatasetError(f"{manifest}: has no column {error}") from error


def _to_rgb(image: Image.Image, contract: ModelContract) -> NDArray[np.uint8]:
    return to_rgb(to_pixels(image, contract), contract)
