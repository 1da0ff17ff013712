"""What the audit keeps of a picture once its pixels are gone: at most ten kilobytes."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.xray.decode import sniff
from training.data.audit.crops import shrink
from training.data.audit.fingerprints import fingerprint
from training.data.dataset import read_picture, untracked
from training.data.folder import find_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from training.data.dataset import Track


@dataclass(frozen=True)
class Facts:
    """One readable picture: where it stands, what it is, and what it looks like.

    `file` is relative to the data folder, `kind` what `sniff` says, `mode` Pillow's colour mode,
    `width` and `height` those of the upright picture, `bits` its fingerprint, uint64 (8,). `small`
    is what `training.data.audit.crops.shrink` gives, where it was kept.
    """

    file: str
    sha256: str
    kind: str
    mode: str
    width: int
    height: int
    bits: NDArray[np.uint64]
    small: NDArray[np.uint8] | None = None

    @property
    def split(self) -> str:
        """The first folder."""
        return self.file.split("/")[0]

    @property
    def label(self) -> str:
        """The second folder: the class."""
        return self.file.split("/")[1]


def facts_of(file: str, data: bytes, image: Image.Image) -> Facts:
    """The facts of the file SPLIT/CLASS/NAME with the bytes `data`, which decode to `image`."""
    return Facts(
        file=file,
        sha256=hashlib.sha256(data).hexdigest(),
        kind=sniff(data),
        mode=image.mode,
        width=image.width,
        height=image.height,
        bits=fingerprint(image),
    )


def read_facts(
    root: Path, splits: Sequence[str], *, keep_small: bool = False, track: Track = untracked
) -> tuple[list[Facts], list[tuple[str, str]]]:
    """The facts of every readable picture in `splits` of `root`, and (file, reason) of every other.

    With `keep_small` the facts keep a small picture.

    One thread a core reads; as many pictures are in memory at a time.

    Raises:
        DatasetError: as `find_files`.
    """

    def read(path: Path) -> Facts | tuple[str, str]:
        file = path.relative_to(root).as_posix()
        picture = read_picture(path)
        if isinstance(picture, str):
            return file, picture
        facts = facts_of(file, *picture)
        return replace(facts, small=shrink(picture[1])) if keep_small else facts

    _, found = find_files(root, splits)
    paths = [path for files in found.values() for path, _ in files]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = list(track(pool.map(read, paths), len(paths)))
    return (
        [item for item in seen if isinstance(item, Facts)],
        [item for item in seen if not isinstance(item, Facts)],
    )
