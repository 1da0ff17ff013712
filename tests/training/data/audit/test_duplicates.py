from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.data.audit.duplicates import SamePicture, find_duplicates
from training.data.audit.picture import Facts

if TYPE_CHECKING:
    from collections.abc import Iterable

BASE = np.random.default_rng(0).integers(0, 2, 512, np.uint8)


def fact(file: str, flipped: Iterable[int] = (), sha256: str | None = None) -> Facts:
    """A picture whose fingerprint is that of all others here but for the bits in `flipped`."""
    bits = BASE.copy()
    bits[list(flipped)] ^= 1
    packed = np.packbits(bits).view(np.uint64)
    return Facts(file, sha256 or file, "PNG", "L", width=9, height=9, bits=packed)


def test_no_files_hold_no_picture_twice() -> None:
    found = find_duplicates([])
    assert found.same == found.look_alikes == found.featureless == ()


def test_files_of_the_same_bytes_are_one_picture() -> None:
    files = [fact(f"{split}/A/x", sha256="same") for split in ("val", "test", "train")]
    (same,) = find_duplicates(files).same
    assert same == SamePicture(("test/A/x", "train/A/x", "val/A/x"), exact=True, distance=0)
    assert same.splits == {"train", "val", "test"}
    assert same.labels == {"A"}


def test_a_chain_of_near_pictures_is_one_and_tells_its_widest_step() -> None:
    files = [
        fact("train/A/0"),
        fact("train/A/1", range(43)),
        fact("test/B/2", range(43 + 30)),
        fact("test/B/3", range(43 + 30), sha256="test/B/2"),
        fact("val/A/4", range(200, 400)),
    ]
    found = find_duplicates(files)
    assert found.same == (
        SamePicture(("test/B/2", "test/B/3", "train/A/0", "train/A/1"), exact=False, distance=43),
    )
    assert found.look_alikes == ()


def test_from_44_bits_on_pictures_are_two() -> None:
    found = find_duplicates([fact("train/A/0"), fact("test/A/1", range(44))])
    assert found.same == ()
    assert found.look_alikes == (
        SamePicture(("test/A/1", "train/A/0"), exact=False, distance=44),
    )  # fmt: skip


def test_look_alikes_of_one_split_or_from_72_bits_on_are_not_shown() -> None:
    files = [fact("train/A/0"), fact("train/A/1", range(50)), fact("test/A/2", range(400, 472))]
    assert find_duplicates(files).look_alikes == ()


def test_of_many_look_alikes_the_nearest_twenty_are_shown() -> None:
    rng = np.random.default_rng(1)
    alike = [
        fact(f"test/A/{distance}", rng.choice(512, distance, replace=False).tolist())
        for distance in reversed(range(47, 72))
    ]
    found = find_duplicates([fact("train/A/0"), *alike])
    assert found.same == ()
    assert [pair.distance for pair in found.look_alikes] == list(range(47, 67))


def test_what_is_too_even_is_compared_by_its_bytes_alone() -> None:
    even = np.zeros(8, np.uint64)
    files = [
        Facts(f"{split}/A/x", digest, "PNG", "L", width=9, height=9, bits=even)
        for split, digest in (("train", "a"), ("val", "b"), ("test", "a"))
    ]
    found = find_duplicates(files)
    assert [same.files for same in found.same] == [("test/A/x", "train/A/x")]
    assert found.featureless == ("test/A/x", "train/A/x", "val/A/x")
