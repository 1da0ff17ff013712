"""The picture and the heat map over it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.app.web.browsing import CLASSES, DICOM, PICTURE, answered, choose, edit_answers, file_of

if TYPE_CHECKING:
    from tests.app.web.browsing import Open


@pytest.mark.parametrize("size", [(40, 400), (400, 40), (16, 16)], ids=str)
def test_a_picture_of_any_shape_keeps_its_own(size: tuple[int, int], open_page: Open) -> None:
    page = open_page()
    choose(page, file_of(encode(draw_radiograph(size=size))))
    answered(page)
    expect(page.locator(".stack")).to_have_attribute("style", re.compile("--ratio"))
    for image in (".stack .picture", ".stack .heat"):
        box = page.locator(image).bounding_box()
        assert box is not None
        assert box["width"] / box["height"] == pytest.approx(size[0] / size[1], rel=0.05)


def test_a_dicom_file_is_drawn_by_the_service(open_page: Open) -> None:
    page = open_page()
    choose(page, file_of(DICOM, "IM0001"))
    answered(page)
    for image in (".stack .picture", ".thumbnail img"):
        expect(page.locator(image)).to_be_visible()
        assert page.locator(image).evaluate("i => [i.naturalWidth, i.naturalHeight]") == [400, 300]


def test_another_class_shows_another_map_and_the_slider_its_strength(open_page: Open) -> None:
    page = open_page()
    choose(page, file_of(PICTURE))
    answered(page)
    seen = []
    for name in CLASSES:
        page.get_by_label(name, exact=True).check()
        seen.append(page.locator(".heat").get_attribute("src"))
        alt = page.locator(".stack .picture").get_attribute("alt")
        assert alt is not None
        assert name in alt
    assert len(set(seen)) > 1
    page.get_by_label("Strength of the heat map").fill("20")
    assert page.locator(".heat").evaluate("i => i.style.opacity") == "0.2"


def test_each_picture_is_first_shown_with_what_speaks_for_its_own_class(open_page: Open) -> None:
    page = open_page()
    choose(page, file_of(PICTURE), file_of(PICTURE))
    answered(page)
    likeliest = page.locator(".bars .likeliest th").text_content()
    other = next(name for name in CLASSES if name != likeliest)
    page.get_by_label(other, exact=True).check()
    page.locator(".thumbnail").nth(1).click()
    expect(page.locator(".thumbnail .label").nth(1)).not_to_contain_text("…")
    expect(page.get_by_label(likeliest or "", exact=True)).to_be_checked()


def test_a_class_that_nothing_speaks_for_is_said_to_be_one(open_page: Open) -> None:
    page = open_page()
    edit_answers(page, lambda body: body["layers"]["heat"].pop("COVID"))
    choose(page, file_of(PICTURE))
    answered(page)
    page.get_by_label("COVID", exact=True).check()
    expect(page.get_by_text("Nothing in the picture speaks for COVID.")).to_be_visible()
    expect(page.locator(".heat")).to_be_hidden()
    page.get_by_label("NORMAL", exact=True).check()
    expect(page.locator(".nothing")).to_be_hidden()
    expect(page.locator(".heat")).to_be_visible()


def test_a_model_that_cannot_be_explained_still_answers(open_page: Open) -> None:
    page = open_page()

    edit_answers(page, lambda body: body["layers"].pop("heat"))
    choose(page, file_of(PICTURE))
    answered(page)
    expect(page.locator(".stack .picture")).to_be_visible()
    for gone in (".stack .heat", ".controls", ".as-png"):
        expect(page.locator(gone)).to_be_hidden()
