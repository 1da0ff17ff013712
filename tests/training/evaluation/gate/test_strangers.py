from __future__ import annotations

import subprocess
import sys
import warnings
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.xray.errors import TrainingError
from benchmarks.rig.corpus.drawing import draw_radiograph
from training.evaluation.gate import strangers as module
from training.evaluation.gate.strangers import hard_cases, strangers

if TYPE_CHECKING:
    from collections.abc import Callable

pytest.importorskip("pydicom")
pytest.importorskip("skimage")

KINDS = [
    "photographs",
    "photographs in gray",
    "CT slices",
    "MR slices",
    "text pages",
    "noise",
    "flat gray",
    "charts",
]


@pytest.fixture(scope="module")
def kinds() -> dict[str, list[Image.Image]]:
    return strangers()


@pytest.fixture
def few_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests are not about, kept short."""
    monkeypatch.setattr(module, "DRAWN", 4)


def test_every_kind_has_several_pictures(kinds: dict[str, list[Image.Image]]) -> None:
    assert list(kinds) == KINDS
    assert all(len(pictures) >= 10 for pictures in kinds.values())


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_of_eight_bits_and_a_size_worth_judging(
    kinds: dict[str, list[Image.Image]], kind: str
) -> None:
    for picture in kinds[kind]:
        assert picture.mode in ("L", "RGB")
        assert min(picture.size) >= 16


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_pictures_of_a_kind_are_the_same(
    kinds: dict[str, list[Image.Image]], kind: str
) -> None:
    assert len({(one.size, one.tobytes()) for one in kinds[kind]}) == len(kinds[kind])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "flat gray"])
def test_nothing_but_flat_gray_is_flat(kinds: dict[str, list[Image.Image]], kind: str) -> None:
    spreads = [np.asarray(picture.convert("L")).std() for picture in kinds[kind]]
    assert np.median(spreads) > 15
    assert min(spreads) > 1


def test_flat_gray_runs_from_black_to_white(kinds: dict[str, list[Image.Image]]) -> None:
    levels = [picture.getextrema() for picture in kinds["flat gray"]]
    assert all(low == high for low, high in levels)
    assert (levels[0], levels[-1]) == ((0, 0), (255, 255))


def test_photographs_in_gray_are_the_photographs(kinds: dict[str, list[Image.Image]]) -> None:
    pairs = zip(kinds["photographs"], kinds["photographs in gray"], strict=True)
    assert all(color.convert("L") == gray for color, gray in pairs)


def test_some_noise_and_most_photographs_are_in_colour(
    kinds: dict[str, list[Image.Image]],
) -> None:
    def colored(picture: Image.Image) -> bool:
        channels = np.asarray(picture.convert("RGB"), dtype=int)
        return bool(np.ptp(channels, axis=2).any())

    assert 0 < sum(map(colored, kinds["noise"])) < len(kinds["noise"])
    assert sum(map(colored, kinds["photographs"])) > len(kinds["photographs"]) / 2


@pytest.mark.usefixtures("few_drawn")
def test_the_pictures_are_the_same_every_time() -> None:
    kinds, again = strangers(), strangers()
    assert list(again) == list(kinds)
    for kind, pictures in kinds.items():
        assert [one.tobytes() for one in again[kind]] == [one.tobytes() for one in pictures]


def test_importing_the_module_loads_no_package_of_samples() -> None:
    code = (
        "import sys, training.evaluation.gate.strangers; "
        "print(sorted({'skimage', 'pydicom', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_sample_that_this_version_lacks_is_skipped(
    kinds: dict[str, list[Image.Image]], few_drawn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PHOTOGRAPHS", ("never.png", *module.PHOTOGRAPHS[1:]))
    monkeypatch.setattr(module, "CT_SLICES", ("never.dcm", *module.CT_SLICES[1:]))
    found = strangers()
    for kind in ("photographs", "photographs in gray", "CT slices"):
        whole = {one.tobytes() for one in kinds[kind]}
        assert 0 < len(found[kind]) < len(kinds[kind])
        assert {one.tobytes() for one in found[kind]} < whole


@pytest.mark.parametrize(
    ("names", "missing", "kind"),
    [
        pytest.param("CT_SLICES", ("never.dcm",), "CT slices", id="no CT file"),
        pytest.param("MR_SLICES", ("never.dcm", "nor.dcm"), "MR slices", id="no MR file"),
        pytest.param("MR_SLICES", (), "MR slices", id="no name"),
    ],
)
def test_a_kind_without_any_sample_is_an_error(
    few_drawn: None,
    monkeypatch: pytest.MonkeyPatch,
    names: str,
    missing: tuple[str, ...],
    kind: str,
) -> None:
    monkeypatch.setattr(module, names, missing)
    with pytest.raises(TrainingError, match=f"no sample of {kind}"):
        strangers()


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError])
def test_a_slice_without_a_decoder_is_skipped(
    few_drawn: None, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    import pydicom

    def lacking(self: object) -> np.ndarray:
        raise error("missing dependencies")

    monkeypatch.setattr(pydicom.Dataset, "pixel_array", property(lacking))
    with pytest.raises(TrainingError, match="no sample of CT slices"):
        strangers()


def test_every_slice_of_this_pydicom_that_is_large_enough_is_named() -> None:
    import pydicom

    found = {}
    for path in sorted((files("pydicom") / "data" / "test_files").iterdir(), key=str):  # type: ignore[call-overload]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                data = pydicom.dcmread(path)
                if data.Modality in ("CT", "MR") and min(data.Rows, data.Columns) >= 64:
                    found[path.name] = (data.Modality, data.pixel_array.astype(int).tobytes())
            except (pydicom.errors.InvalidDicomError, OSError, AttributeError, ValueError):
                continue
    named = {*module.CT_SLICES, *module.MR_SLICES}
    assert {found[name] for name in named} == set(found.values())
    assert len({found[name] for name in named}) == len(named)


def draw(mode: str = "L") -> Image.Image:
    return draw_radiograph(size=(100, 80)).convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_hard_cases_come_in_their_numbers_and_mode(mode: str) -> None:
    found = hard_cases([draw(mode)] * 3)
    assert {kind: len(pictures) for kind, pictures in found.items()} == {
        "upside down": 3,
        "turned by 90°": 6,
        "inverted": 3,
        "cropped to a corner": 12,
    }
    assert {one.mode for pictures in found.values() for one in pictures} == {mode}


@pytest.mark.parametrize(
    ("kind", "index", "expected"),
    [
        pytest.param("upside down", 0, lambda p: p[::-1, ::-1], id="upside down"),
        pytest.param("turned by 90°", 0, lambda p: np.rot90(p), id="turned left"),
        pytest.param("turned by 90°", 1, lambda p: np.rot90(p, -1), id="turned right"),
        pytest.param("inverted", 0, lambda p: 255 - p, id="inverted"),
        pytest.param("cropped to a corner", 0, lambda p: p[:32, :40], id="top left"),
        pytest.param("cropped to a corner", 1, lambda p: p[:32, 60:], id="top right"),
        pytest.param("cropped to a corner", 2, lambda p: p[48:, :40], id="bottom left"),
        pytest.param("cropped to a corner", 3, lambda p: p[48:, 60:], id="bottom right"),
    ],
)
def test_a_hard_case_is_what_its_name_says(
    kind: str, index: int, expected: Callable[[np.ndarray], np.ndarray]
) -> None:
    picture = draw()
    before = picture.tobytes()
    changed = np.asarray(hard_cases([picture])[kind][index])
    assert np.array_equal(changed, expected(np.asarray(picture)))
    assert picture.tobytes() == before


def test_the_smallest_picture_still_has_corners() -> None:
    corners = hard_cases([Image.new("L", (1, 1))])["cropped to a corner"]
    assert [corner.size for corner in corners] == [(1, 1)] * 4


@pytest.mark.parametrize(
    "images",
    [
        pytest.param([], id="none"),
        pytest.param([Image.new("I;16", (9, 9))], id="sixteen bits"),
        pytest.param([Image.new("RGBA", (9, 9))], id="transparent"),
        pytest.param([Image.new("1", (9, 9))], id="one bit"),
        pytest.param([Image.new("L", (9, 9)), Image.new("P", (9, 9))], id="one with a palette"),
    ],
)
def test_hard_cases_of_no_eight_bit_pictures_are_refused(images: list[Image.Image]) -> None:
    with pytest.raises(ValueError, match="expected pictures of mode L or RGB"):
        hard_cases(images)
