"""Pictures of other things than a chest, and X-rays as they should not come: to judge a gate on.

Everything is drawn here or is a sample file that comes inside scikit-image, scikit-learn or
pydicom; nothing is ever downloaded. The same versions give the same pictures, in the same order.
"""

from __future__ import annotations

import io
import warnings
import zlib
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from app.xray.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PHOTOGRAPHS: Final = (
    "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png",
    "coffee.png", "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png",
    "microaneurysms.png", "moon.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg",
)  # fmt: skip
"""scikit-image's; what is drawn, or twice the same, is left out."""
SCANNED_PAGES: Final = ("page.png", "text.png")
CT_SLICES: Final = ("693_J2KI.dcm", "CT_small.dcm", "J2K_pixelrep_mismatch.dcm")
MR_SLICES: Final = ("MR_small.dcm", "examples_overlay.dcm")
"""pydicom's files of each kind with at least 64 pixels a side, each slice once."""

CT_WINDOWS: Final = ((-600, 1500), (40, 400), (480, 2500))
"""Centre and width in Hounsfield units: lung, soft tissue and bone, as radiologists set them."""

CROPS: Final = 4
"""Crops of each photograph and slice, beside the whole; each side at least 0.4 of it."""
DRAWN: Final = 40
"""How many pages, charts, and pictures of noise are drawn, each."""
CORNER: Final = 0.4
"""The share of each side that a crop to a corner keeps: no lung is whole in it."""


def strangers() -> dict[str, list[Image.Image]]:
    """Pictures of other things by their kind, mode L or RGB, of many sizes; the same every time.

    CT and MR slices stand for exports of such slices as PNG or JPEG: as DICOM they are refused for
    their modality, before any gate looks at them. All of them come from five slices.

    Raises:
        TrainingError: the installed packages hold no sample of some kind.
        ModuleNotFoundError: scikit-image, scikit-learn or pydicom is not installed.
    """
    photographs = _photographs()
    kinds = {
        "photographs": photographs,
        "photographs in gray": [picture.convert("L") for picture in photographs],
        "CT slices": _slices(CT_SLICES, CT_WINDOWS),
        "MR slices": _slices(MR_SLICES, ()),
        "text pages": [*_scikit_image(SCANNED_PAGES), *_pages()],
        "noise": _noise(),
        "flat gray": [
            Image.new("L", (300, 300), round(level)) for level in np.linspace(0, 255, 32)
        ],
        "charts": _charts(),
    }
    for kind, pictures in kinds.items():
        if not pictures:
            raise TrainingError(f"the installed packages hold no sample of {kind} that can be read")
    return kinds


def hard_cases(images: Sequence[Image.Image]) -> dict[str, list[Image.Image]]:
    """Chest X-rays as they should not come, by what was done to them, in the order of `images`.

    Each of `images`, mode L or RGB, gives one picture upside down and one inverted, two turned by
    90° (left, right) and four cropped to a corner (top left, top right, bottom left, bottom right).

    Raises:
        ValueError: there are no images, or one has another mode.
    """
    modes = {image.mode for image in images}
    if not images or not modes <= {"L", "RGB"}:
        raise ValueError(f"expected pictures of mode L or RGB, found {sorted(modes)}")
    turn = Image.Transpose
    return {
        "upside down": [image.transpose(turn.ROTATE_180) for image in images],
        "turned by 90°": [
            image.transpose(way) for image in images for way in (turn.ROTATE_90, turn.ROTATE_270)
        ],
        "inverted": [ImageOps.invert(image) for image in images],
        "cropped to a corner": [corner for image in images for corner in _corners(image)],
    }


def _corners(image: Image.Image) -> list[Image.Image]:
    width, height = (max(round(side * CORNER), 1) for side in image.size)
    right, bottom = image.width - width, image.height - height
    starts = [(0, 0), (right, 0), (0, bottom), (right, bottom)]
    return [image.crop((x, y, x + width, y + height)) for x, y in starts]


def _photographs() -> list[Image.Image]:
    from sklearn.datasets import load_sample_images

    pictures = [*_scikit_image(PHOTOGRAPHS), *map(Image.fromarray, load_sample_images().images)]
    return [each for picture in pictures for each in _with_crops(picture.convert("RGB"))]


def _scikit_image(names: Sequence[str]) -> list[Image.Image]:
    """scikit-image's sample pictures of these names, as far as this version holds them."""
    found = []
    for name in names:
        sample = files("skimage") / "data" / name
        if sample.is_file():
            with sample.open("rb") as file, Image.open(file) as image:
                found.append(image.convert("L" if image.mode == "L" else "RGB"))
    return found


def _slices(names: Sequence[str], windows: Sequence[tuple[int, int]]) -> list[Image.Image]:
    """Each slice from its 1st to its 99th percentile and through each of the windows."""
    found = []
    for name in names:
        levels = _read_slice(name)
        if levels is None:
            continue
        bounds = [tuple(np.percentile(levels, [1, 99]))]
        bounds += [(centre - width / 2, centre + width / 2) for centre, width in windows]
        for low, high in bounds:
            gray = ((levels - low) / max(high - low, 1) * 255).clip(0, 255).astype(np.uint8)
            found += _with_crops(Image.fromarray(gray))
    return found


def _read_slice(name: str) -> NDArray[np.float64] | None:
    """One of pydicom's files in its own units; None where it or its decoder is not installed."""
    import pydicom

    sample = files("pydicom") / "data" / "test_files" / name
    if not sample.is_file():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # test files are odd on purpose
        with as_file(sample) as path:
            slice_ = pydicom.dcmread(path)
        try:
            stored = slice_.pixel_array.astype(np.float64)
        except (RuntimeError, NotImplementedError):  # pydicom's: no decoder for the compression
            return None
    return stored * float(slice_.get("RescaleSlope", 1)) + float(slice_.get("RescaleIntercept", 0))


def _with_crops(picture: Image.Image) -> list[Image.Image]:
    # From the picture itself, so that one sample more or less leaves the crops of all others.
    rng = np.random.default_rng(zlib.crc32(picture.tobytes()))
    found = [picture]
    for _ in range(CROPS):
        width, height = (round(side * rng.uniform(0.4, 0.9)) for side in picture.size)
        x = int(rng.integers(picture.width - width + 1))
        y = int(rng.integers(picture.height - height + 1))
        found.append(picture.crop((x, y, x + width, y + height)))
    return found


def _pages() -> list[Image.Image]:
    """Lines of made-up words, black on white, of many sizes and spacings."""
    rng = np.random.default_rng(1)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    pages = []
    for _ in range(DRAWN):
        page = Image.new("L", (600, 800), 255)
        draw = ImageDraw.Draw(page)
        size = int(rng.integers(12, 24))
        font = ImageFont.load_default(size)
        for y in range(40, 760, round(size * rng.uniform(1.2, 2.0))):
            lengths = rng.integers(1, 10, rng.integers(2, 12))
            words = ("".join(rng.choice(letters, length)) for length in lengths)
            draw.text((40, y), " ".join(words), fill=0, font=font)
        pages.append(page)
    return pages


def _noise() -> list[Image.Image]:
    """Noise, in turn: even in gray, Gaussian in gray, even in colour, Gaussian out of focus."""
    rng = np.random.default_rng(2)
    shape = (300, 300)
    found = []
    for _ in range(DRAWN // 4):
        even = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
        levels = rng.normal(rng.uniform(60, 200), rng.uniform(5, 60), shape)
        gaussian = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
        color = Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
        blurred = gaussian.filter(ImageFilter.GaussianBlur(rng.uniform(2, 20)))
        found += [even, gaussian, color, ImageOps.autocontrast(blurred)]
    return found


def _charts() -> list[Image.Image]:
    """Charts, in turn: lines, bars, points, a histogram, a pie and a matrix."""
    from matplotlib.figure import Figure

    rng = np.random.default_rng(3)
    found = []
    for index in range(DRAWN):
        figure = Figure(figsize=(5, 4))
        axes = figure.subplots()
        match index % 6:
            case 0:
                axes.plot(rng.normal(size=(50, 3)).cumsum(axis=0))
            case 1:
                axes.bar(range(8), rng.random(8))
            case 2:
                axes.scatter(*rng.normal(size=(2, 200)))
            case 3:
                axes.hist(rng.normal(size=500), bins=20)
            case 4:
                axes.pie(rng.random(5) + 0.1)
            case _:
                axes.imshow(rng.random((12, 12)), cmap="gray")
        figure.savefig(file := io.BytesIO(), format="png", dpi=80)
        found.append(Image.open(file).convert("RGB"))
    return found
