"""Where the network looked: the radiograph with its heat map laid over it, for a person."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.xray.heat import blend, colored, stretch

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE: Final = 320
"""The longest side of a picture for display, in pixels: enough to see where, quick to draw."""
PAGE_SIDE: Final = 640
"""The longest side of a picture that fills half a page, in pixels."""
DISCLAIMER: Final = "Research software, not a medical device"

_MIN_SIDE: Final = 256
"""Smaller pictures are enlarged, so that there is something to see."""
_MIN_WIDTH: Final = 300
"""Narrower ones stand on a canvas of this width, so that the legend can be read."""
_HEAT_REDUCTION: Final = 4
_BACKGROUND: Final = (16, 16, 16)
_INK: Final = (240, 240, 240)
_FAINT_INK: Final = (170, 170, 170)
_MAX_NAME: Final = 80
_SMOOTH: Final = frozenset({"L", "RGB", "CMYK", "YCbCr"})
"""Modes that can be reduced before they are made gray, while they are large."""


def thumbnail(image: Image.Image, side: int = SIDE) -> Image.Image:
    """A small gray copy for display, mode L, its longest side at most `side`, the aspect kept.

    It is smoothed, and no model input: that is made by `app.xray.preprocess` alone.
    """
    factor = min(1.0, side / max(image.size))
    if image.mode not in _SMOOTH:
        image = image.convert("L")
    reduced = _scale(image, factor) if factor < 1 else image
    return reduced.convert("L")


def overlay(
    picture: Image.Image, heat: NDArray[np.float32], *, label: str, probability: float
) -> bytes:
    """A PNG file: the radiograph at its own aspect under the heat, and a legend below.

    Args:
        picture: as `thumbnail` gives it.
        heat: float32 (rows, columns), 0 to 1, over the whole picture.
        label: the class that the heat speaks for; cut short where it does not fit.
        probability: that class's, 0 to 1.
    """
    factor = _MIN_SIDE / max(picture.size)
    picture = _scale(picture, factor) if factor > 1 else picture
    width = max(picture.width, _MIN_WIDTH)
    words = "Evidence for" if heat.any() else "No evidence for"
    legend = _draw_legend(width, words, label, _spell(probability))
    canvas = Image.new("RGB", (width, picture.height + legend.height), _BACKGROUND)
    canvas.paste(blend(picture, heat), ((width - picture.width) // 2, 0))
    canvas.paste(legend, (0, picture.height))
    return _to_png(canvas)


def gray_layer(picture: Image.Image) -> bytes:
    """A PNG file: the radiograph alone, for heat to be laid over; `picture` as in `overlay`."""
    return _to_png(picture)


def heat_layer(heat: NDArray[np.float32], size: tuple[int, int]) -> bytes:
    """A PNG file: the heat's colours, as opaque as it is strong, to be stretched to `size`.

    It is a quarter as wide and high, and as smooth all the same; `heat` as in `overlay`.
    """
    width, height = (max(1, round(side / _HEAT_REDUCTION)) for side in size)
    levels = stretch(heat, (width, height))
    colors = colored(levels)
    colors.putalpha(levels)
    return _to_png(colors)


def _scale(image: Image.Image, factor: float) -> Image.Image:
    width, height = (max(1, round(extent * factor)) for extent in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.0)


def _draw_legend(width: int, words: str, label: str, probability: str) -> Image.Image:
    legend = _draw_scale(width).copy()
    draw = ImageDraw.Draw(legend)
    text, margin, middle = _measure(width)
    font, right = _font(text), width - margin
    draw.text((right, middle[0]), probability, _INK, font, anchor="rm")
    room = right - margin - font.getlength(f"{probability}  ")
    draw.text((margin, middle[0]), _fit(words, label, font, room), _INK, font, anchor="lm")
    return legend


@lru_cache(maxsize=8)
def _draw_scale(width: int) -> Image.Image:
    """Draw what every legend of that width shares: the colours, and the disclaimer."""
    text, margin, middle = _measure(width)
    legend = Image.new("RGB", (width, middle[-1] + 2 * margin), _BACKGROUND)
    draw = ImageDraw.Draw(legend)
    font, right = _font(round(text * 0.85)), width - margin
    draw.text((margin, middle[1]), "none", _FAINT_INK, font, anchor="lm")
    draw.text((right, middle[1]), "strongest", _FAINT_INK, font, anchor="rm")
    start = round(1.5 * margin + font.getlength("none "))
    stop = round(right - 0.5 * margin - font.getlength(" strongest"))
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
    bar = blend(Image.new("L", (stop - start, text // 2), 96), ramp)
    legend.paste(bar, (start, middle[1] - text // 4))
    draw.text((margin, middle[2]), DISCLAIMER, _FAINT_INK, font, anchor="lm")
    return legend


def _measure(width: int) -> tuple[int, int, list[int]]:
    """Height of the text, margin, and the middle of each of three lines."""
    text = round(width / 26)
    margin = round(text * 0.6)
    return text, margin, [round(text * (1.2 + 1.6 * line)) for line in range(3)]


def _spell(probability: float) -> str:
    """A probability in per cent, but never 0 or 100: no softmax is as sure as that sounds."""
    if probability > 0.999:
        return ">99.9%"
    return "<0.1%" if probability < 0.001 else f"{probability:.1%}"


def _fit(words: str, label: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    name = " ".join(label.split())
    whole = f"{words} {name}"
    for end in range(min(len(name), _MAX_NAME), 0, -1):
        if font.getlength(whole) <= room:
            break
        whole = f"{words} {name[:end]}..."
    return whole


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101  # which Pillow's wheels bring
    return font


def _to_png(image: Image.Image) -> bytes:
    """A PNG file made in a hurry.

    Pillow tries five filters on each row, which takes longer than all of the rest.
    """
    from imagecodecs import PNG, png_encode

    filters, strategies = PNG.FILTER, PNG.STRATEGY
    file = png_encode(
        np.asarray(image), level=1, filter=filters.UP, strategy=strategies.HUFFMAN_ONLY
    )
    return bytes(file)
