"""X-ray-like pictures, drawn: nobody's chest stands in this repository."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from pathlib import Path


def draw_radiograph(
    seed: int = 0, size: tuple[int, int] = (300, 260), *, unlike: float = 0.01
) -> Image.Image:
    """A gray thorax with two dark lungs and a bright heart; mode L, `size` is width, height.

    `unlike` is how far, in widths, two people differ; from 0.06 `training check` tells them apart.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    image = Image.new("L", size, 30)
    draw = ImageDraw.Draw(image)

    def ellipse(x: float, y: float, across: float, down: float, level: int) -> None:
        x, y = (x + rng.normal(0, unlike)) * width, (y + rng.normal(0, unlike)) * height
        half_x, half_y = across * width / 2, down * height / 2
        draw.ellipse((x - half_x, y - half_y, x + half_x, y + half_y), fill=level)

    ellipse(0.5, 0.55, 0.95, 1.0, 150)
    ellipse(0.3, 0.5, 0.3, 0.65, 60)
    ellipse(0.7, 0.5, 0.3, 0.65, 60)
    ellipse(0.57, 0.62, 0.26, 0.3, 200)
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(3)), dtype=float)
    noisy = blurred + rng.normal(0, 6, blurred.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def checkered(dark: int, bright: int) -> Image.Image:
    """300 x 300 pixels of two levels, as many of each: even from afar, and not flat."""
    squares = np.indices((300, 300)).sum(axis=0) // 2 % 2
    return Image.fromarray(np.where(squares, bright, dark).astype(np.uint8))


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of `image` as a file of type `kind`."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write_png(channels: np.ndarray) -> bytes:
    """A PNG file of 16 bits a channel, which Pillow writes for gray only.

    `channels` is uint16 (height, width, count): gray, gray and alpha, RGB or RGBA by its count.
    """
    height, width, count = channels.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[count]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in channels)
    return _png(width, height, 16, color_type, zlib.compress(rows))


def png_declaring(width: int, height: int) -> bytes:
    """The head of a PNG file that promises width x height pixels and holds none."""
    return _png(width, height, 8, 0, b"")


def _png(width: int, height: int, bits: int, color_type: int, data: bytes) -> bytes:
    """PNG, third edition (W3C 2025), section 5: signature, IHDR, IDAT, IEND."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def write_dataset(
    root: Path,
    *,
    classes: tuple[str, ...] = ("COVID", "NORMAL", "PNEUMONIA"),
    counts: dict[str, int] | None = None,
) -> Path:
    """`root/SPLIT/CLASS/NAME.png`, `counts[SPLIT]` in each class; each class has its own level."""
    seed = 0
    for split, count in (counts or {"train": 4, "val": 2, "test": 2}).items():
        for label, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                seed += 1
                picture = draw_radiograph(seed, (96, 80), unlike=0.06).point(
                    lambda v, shift=label: v // (shift + 1)
                )
                picture.save(folder / f"{name.lower()}-{index}.png")
    return root


def add_unseen(root: Path, *, count: int = 2, with_manifest: bool = True) -> Path:
    """`root/unseen` of two hospitals, each with one class, none with PNEUMONIA; gives `root`."""
    rows = [f"{path.relative_to(root).as_posix()},near" for path in sorted(root.glob("*/*/*.png"))]
    for hospital, (source, name) in enumerate((("far", "COVID"), ("farther", "NORMAL"))):
        folder = root / "unseen" / name
        folder.mkdir(parents=True)
        for index in range(count):
            picture = draw_radiograph(1000 + 100 * hospital + index, (96, 80), unlike=0.06)
            picture.save(folder / f"{index}.png")
            rows.append(f"unseen/{name}/{index}.png,{source}")
    if with_manifest:
        (root / "manifest.csv").write_text("\n".join(["file,source", *rows]))
    return root
