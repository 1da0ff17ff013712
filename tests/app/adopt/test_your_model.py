"""docs/your-model.md: each line of an author's is run, and the zoo's table is that of the zoo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from app.xray.contract import PictureContract, parse_input
from app.xray.preprocess import preprocess
from tests.zoo.pictures import draw_pictures
from tests.zoo.projects import projects
from tests.zoo.table import PAGE, rows

if TYPE_CHECKING:
    from pathlib import Path

TEXT = PAGE.read_text()
_ROW = re.compile(r"^\| ([^|`]+) \| `([^`]+)` \| `([^`]+)` \|$", re.MULTILINE)
KINDS = _ROW.findall(TEXT)
_LEVEL = 1 / 255


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return draw_pictures(tmp_path_factory.mktemp("films"), ("png",))[:4]


@pytest.mark.parametrize(("author", "said"), [pytest.param(a, s, id=k) for k, a, s in KINDS])
def test_a_line_of_an_authors_makes_the_input_that_the_page_says(
    author: str, said: str, pictures: list[Path]
) -> None:
    import tensorflow as tf
    from tf_keras.applications import densenet, vgg16, xception
    from tf_keras.preprocessing.image import ImageDataGenerator
    from tf_keras.utils import img_to_array, load_img

    known = {
        "cv2": cv2, "np": np, "tf": tf, "Image": Image, "ImageOps": ImageOps,
        "densenet": densenet, "vgg16": vgg16, "xception": xception,
        "ImageDataGenerator": ImageDataGenerator, "img_to_array": img_to_array,
        "load_img": load_img,
    }  # fmt: skip
    contract = PictureContract(**parse_input(said))
    for picture in pictures:
        theirs = np.asarray(eval(author, {**known, "path": str(picture)}), np.float32)  # noqa: S307
        ours = preprocess(picture.read_bytes(), contract)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1e-3 * _LEVEL * np.ptp(theirs)


def test_tensorflow_decodes_jpeg_as_roughly_as_the_page_says(tmp_path: Path) -> None:
    import tensorflow as tf

    (jpeg,) = draw_pictures(tmp_path, ("jpg",))[:1]
    theirs = tf.io.decode_image(tf.io.read_file(str(jpeg)), channels=1).numpy()[..., 0]
    off = np.abs(theirs.astype(int) - np.asarray(Image.open(jpeg), int))

    assert 0 < off.max() <= 2
    assert not np.any(np.asarray(Image.open(jpeg), int) - cv2.imread(str(jpeg), 0))


def test_the_five_usual_kinds_are_among_them() -> None:
    kinds = " ".join(kind for kind, _, _ in KINDS)
    for usual in ("ImageDataGenerator 1/255", "caffe", "torch", "tf", "Rescaling inside",
                  "Teachable Machine", "OpenCV"):  # fmt: skip
        assert usual in kinds


def test_the_table_has_every_project_of_the_zoo() -> None:
    assert set(rows(TEXT)) == {project.name for project in projects()}


def test_the_table_says_what_the_zoo_expects() -> None:
    for project in projects():
        *_, found, off = rows(TEXT)[project.name]
        assert found.startswith("refused") == (project.refused is not None), project.name
        assert (not off) if project.refused else float(off) <= 1e-3


def test_nine_tenths_of_forty_and_more_are_adopted() -> None:
    served, count = map(int, re.findall(r"^(\d+) of (\d+) are adopted", TEXT, re.MULTILINE)[0])

    assert count == len(projects()) >= 40
    assert served == sum(project.refused is None for project in projects()) >= 0.9 * count


def test_the_named_ones_are_in_the_table() -> None:
    wanted = ("VGG16 OpenCV", "VGG16 caffe", "ResNet50V2 samplewise", "EfficientNetB0",
              "DenseNet121", "CNN gray 150 one sigmoid", "CheXNet",
              "TensorFlow tutorial")  # fmt: skip
    assert all(not rows(TEXT)[name][-2].startswith("refused") for name in wanted)
