"""The picture and the heat map over it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.app.web.browsing import (
    CLASSES,
    DICOM,
    OTHER,
    PICTURE,
    answered,
    choose,
    edit_answers,
    file_of,
)

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


def test_two_films_are_seen_side_by_side_with_both_heat_maps(open_page: Open) -> None:
    page = open_page(viewport={"width": 1280, "height": 900})
    compare = page.get_by_label("Compare with")
    choose(page, file_of(PICTURE, "one.jpg"))
    answered(page)
    expect(compare).to_be_hidden()
    choose(page, file_of(OTHER, "two.png"), file_of(b"hello", "three.txt"))
    expect(page.locator(".thumbnail .label").filter(has_text="…")).to_have_count(0)
    page.locator(".thumbnail").first.click()
    options = compare.locator("option")
    expect(options).to_have_text(["no other", re.compile("^two.png: ")])
    compare.select_option(index=1)
    films = page.locator(".film")
    expect(films).to_have_count(2)
    expect(page.locator(".film .picture:visible")).to_have_count(2)
    sizes = films.locator(".picture").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert sizes == [300, 200]
    boxes = [films.nth(at).bounding_box() for at in (0, 1)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    expect(films.nth(1).locator("figcaption")).to_contain_text("two.png")
    expect(films.nth(1).locator("figcaption")).to_contain_text(re.compile("COVID (> |< )?[0-9]+ %"))
    for name in CLASSES:
        page.get_by_label(name, exact=True).check()
        for film in films.all():
            shown = film.locator(".heat").is_visible()
            assert shown is not film.locator(".nothing").is_visible()
    page.get_by_role("button", name="Zoom in").click()
    planes = page.locator(".plane").evaluate_all("all => all.map(p => p.style.transform)")
    assert len(set(planes)) == 1, "they are looked at alike"
    assert "scale(1.25)" in planes[0]
    compare.select_option(index=0)
    expect(films).to_have_count(1)


def test_the_film_beside_goes_with_its_picture(open_page: Open) -> None:
    page = open_page()
    choose(page, file_of(PICTURE, "one.jpg"), file_of(OTHER, "two.png"), file_of(OTHER, "<i>3.png"))
    expect(page.locator(".thumbnail .label").filter(has_text="…")).to_have_count(0)
    page.get_by_label("Compare with").select_option(index=1)
    expect(page.locator(".film")).to_have_count(2)
    page.locator(".thumbnail").nth(2).click()
    expect(page.locator("figcaption .name")).to_have_text(["<i>3.png", "two.png"])
    page.locator(".thumbnail").nth(1).click()
    expect(page.locator(".film")).to_have_count(1)
    page.get_by_label("Compare with").select_option(index=2)
    expect(page.locator("figcaption .name")).to_have_text(["two.png", "<i>3.png"])
    page.get_by_role("button", name="Remove this one").click()
    expect(page.locator(".thumbnail[aria-pressed=true] .name")).to_have_text("<i>3.png")
    expect(page.locator(".film")).to_have_count(1)


def test_a_film_whose_model_knew_other_classes_is_laid_beside_all_the_same(
    open_page: Open,
) -> None:
    page = open_page()
    choose(page, file_of(PICTURE, "one.jpg"))
    answered(page)
    edit_answers(
        page,
        lambda body: (
            body.update(
                label="A", probabilities={"A": 0.9, "B": 0.1}, prediction_set=["A"], uncertain=False
            ),
            body["layers"].update(heat={}),
        ),
    )
    choose(page, file_of(OTHER, "two.png"))
    expect(page.locator("#answer h2")).to_have_text("Looks most like A")
    page.locator(".thumbnail").first.click()
    page.get_by_label("Compare with").select_option(index=1)
    page.get_by_label("COVID", exact=True).check()
    expect(page.locator("figcaption").nth(1)).to_contain_text("A 90 %, B 10 %")
    nothing = page.locator(".film").nth(1).locator(".nothing")
    expect(nothing).to_have_text("The model of this film knows no COVID.")
