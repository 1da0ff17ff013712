"""A folder of X-rays, decoded and resized once."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from app.xray.contract import DatasetSummary
from app.xray.decode import decode
from app.xray.errors import DatasetError, SenderError
from app.xray.preprocess import decode_for, to_pixels
from training.data.folder import SPLITS, UNSEEN, find_files, strays_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from app.xray.contract import ModelContract
    from app.xray.preprocess.resize import Pixels

    Look = Callable[[str, bytes, Image.Image], object]

Item = TypeVar("Item")


class Track(Protocol):
    """Wraps `total` items as they come, for a progress bar."""

    def __call__(self, items: Iterator[Item], total: int, /) -> Iterable[Item]:
        """Hand on every item, in order."""


def untracked(items: Iterator[Item], _total: int, /) -> Iterable[Item]:
    """The `Track` of who wants no progress bar."""
    return items


@dataclass(frozen=True)
class Split:
    """One split in the order of its files' names, class by class.

    `files` are relative to the data folder, `labels` int64 (n,) index the classes, `pixels` are
    what `app.xray.preprocess.to_pixels` gives, (n, height, width, channels): 150 kB a picture at
    224 x 224 in color and 8 bits.
    """

    files: tuple[str, ...]
    labels: NDArray[np.int64]
    pixels: Pixels

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.files)

    @property
    def levels(self) -> NDArray[np.uint8]:
        """The pixels in 8 bits, 0 to 255: rounded, where the contract's method does not round."""
        if self.pixels.dtype == np.uint8:
            return self.pixels.view(np.uint8)  # the same, by the name that mypy wants
        return np.rint(self.pixels).clip(0, 255).astype(np.uint8)

    def choose(self, chosen: NDArray[np.bool_]) -> Split:
        """Those pictures for which `chosen`, bool (n,), is true."""
        files = tuple(file for file, is_chosen in zip(self.files, chosen, strict=True) if is_chosen)
        return Split(files, self.labels[chosen], self.pixels[chosen])


@dataclass(frozen=True)
class Dataset:
    """The splits that were asked for, and what was left out: (file, reason) in `skipped`."""

    classes: tuple[str, ...]
    splits: dict[str, Split]
    skipped: tuple[tuple[str, str], ...]
    summary: DatasetSummary


@dataclass(frozen=True)
class _Loaded:
    file: str
    label: int
    sha256: str
    pixels: Pixels | None
    reason: str = ""


def load_dataset(
    root: Path,
    contract: ModelContract,
    *,
    splits: Sequence[str] = SPLITS,
    strict: bool = False,
    look: Look = lambda _file, _data, _image: None,
    track: Track = untracked,
) -> Dataset:
    """Decode and resize every picture once, through the road that serving walks.

    Args:
        root: the folder.
        contract: says how pictures are resized, and in `classes` which folders are expected.
        splits: those to load, of `splits_in(root)`.
        strict: raise for a picture that cannot be decoded, rather than skip it.
        look: called, from several threads, with the name, the bytes and the decoded picture of
            each file: who needs more than the pixels need not decode it again.
        track: wraps the pictures as they come, for a progress bar; gets their number too.

    Raises:
        DatasetError: as `find_files`; the folder's classes are not the contract's; with `strict`,
            an unreadable picture; without, a class of which no picture could be read.
    """
    classes, found = find_files(root, splits, contract.classes)
    if classes != contract.classes:
        raise DatasetError(
            f"{root}: holds the classes {', '.join(classes)}; "
            f"the model knows {', '.join(contract.classes)}"
        )

    def load(item: tuple[Path, int]) -> _Loaded:
        path, label = item
        file = path.relative_to(root).as_posix()
        picture = read_picture(path)
        if isinstance(picture, str):
            return _Loaded(file, label, "", None, reason=picture)
        data, image = picture
        look(file, data, image)
        if contract.decode == "scaled":
            image = decode_for(data, contract).image
        return _Loaded(file, label, hashlib.sha256(data).hexdigest(), to_pixels(image, contract))

    items = [item for split in splits for item in found[split]]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        loaded = list(track(pool.map(load, items), len(items)))
    unreadable = [(item.file, item.reason) for item in loaded if item.pixels is None]
    if strict and unreadable:
        file, reason = unreadable[0]
        raise DatasetError(
            f"{root / file}: {reason} ({len(unreadable)} such files; "
            "without --strict they are skipped)"
        )
    loaded = [item for item in loaded if item.pixels is not None]
    return Dataset(
        classes=classes,
        splits={
            name: _split(root, name, classes, {label for _, label in found[name]}, loaded)
            for name in splits
        },
        skipped=(*unreadable, *strays_in(root, splits)),
        summary=_summary(classes, splits, loaded),
    )


def read_picture(path: Path) -> tuple[bytes, Image.Image] | str:
    """The file's bytes and the picture that they decode to, or the reason why there is none."""
    try:
        data = path.read_bytes()
        return data, decode(data).image
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except SenderError as error:
        return str(error)


def _split(
    root: Path,
    name: str,
    classes: Sequence[str],
    asked_for: set[int],
    loaded: Sequence[_Loaded],
) -> Split:
    items = [item for item in loaded if item.file.startswith(f"{name}/")]
    for label in asked_for - {item.label for item in items}:
        raise DatasetError(f"{root / name / classes[label]}: none of its pictures can be read")
    return Split(
        files=tuple(item.file for item in items),
        labels=np.array([item.label for item in items], dtype=np.int64),
        pixels=np.stack([item.pixels for item in items if item.pixels is not None]),  # type: ignore[arg-type]  # all are of one type
    )


def _summary(
    classes: Sequence[str], splits: Sequence[str], loaded: Sequence[_Loaded]
) -> DatasetSummary:
    """Of all splits but `UNSEEN`, which has no part in what a network becomes."""
    splits = [split for split in splits if split != UNSEEN]
    loaded = [item for item in loaded if item.file.split("/")[0] != UNSEEN]
    lines = sorted(f"{item.file} {item.sha256}" for item in loaded)
    counts = Counter((item.file.split("/")[0], classes[item.label]) for item in loaded)
    return DatasetSummary(
        fingerprint=hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest(),
        counts={split: {name: counts[split, name] for name in classes} for split in splits},
    )
