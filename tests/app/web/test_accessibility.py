"""The page by keyboard, by screen reader, on paper, in any colours and at any size."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.app.web.browsing import (
    HEADLINE,
    OTHER,
    PICTURE,
    answered,
    change_answers,
    choose,
    file_of,
)

if TYPE_CHECKING:
    from playwright.sync_api import FileChooser

    from tests.app.web.browsing import Open


def test_everything_can_be_done_with_the_keyboard_alone(open_page: Open) -> None:
    page = open_page()
    # Chromium is told to hand choosers over without an answer being waited for: told before
    # the key that opens one, it may still open its own.
    choosers: list[FileChooser] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    press = page.keyboard.press
    press("Tab")
    expect(page.get_by_text("Skip to adding a picture")).to_be_focused()
    press("Enter")
    press("Tab")
    expect(page.locator("#files")).to_be_focused()
    with page.expect_event("filechooser"):
        press("Enter")
    choosers[0].set_files([file_of(PICTURE), file_of(OTHER)])
    answered(page)
    press("Tab")
    expect(page.locator("#sample")).to_be_focused()
    for name in ("table", "remove", "clear"):
        press("Tab")
        expect(page.locator(f"#{name}")).to_be_focused()
    press("Tab")
    expect(page.get_by_text("Skip to the answer")).to_be_focused()
    press("Tab")
    press("Tab")
    press("Enter")
    expect(page.locator(".thumbnail").nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".thumbnail").nth(1)).to_be_focused()
    press("Tab")
    expect(page.locator(".stack")).to_be_focused()
    press("+")
    expect(page.locator(".zoom")).to_have_text("125 %")
    for name in ("Zoom out", "Zoom in", "Invert", "Reset view"):
        press("Tab")
        expect(page.get_by_role("button", name=name)).to_be_focused()
    press("Enter")
    expect(page.locator(".zoom")).to_have_text("100 %")
    press("Tab")
    press("Home")
    expect(page.get_by_label("Window level")).to_have_value("0")
    press("Tab")
    press("Tab")
    expect(page.get_by_label("Compare with")).to_be_focused()
    press("ArrowDown")
    expect(page.locator(".film")).to_have_count(2)
    press("Tab")
    press("Enter")
    expect(page.get_by_text("Drag or the arrow keys move a film")).to_be_visible()
    press("Tab")
    before = page.locator(".heat").first.get_attribute("src")
    press("ArrowDown")
    assert page.locator(".heat").first.get_attribute("src") != before
    press("Tab")
    press("ArrowLeft")
    assert page.locator(".heat").first.evaluate("i => i.style.opacity") == "0.55"
    press("Tab")
    with page.expect_download():
        press("Enter")
    press("Tab")
    with page.expect_download():
        press("Space")
    page.locator("#remove").focus()
    press("Enter")
    page.locator("#undo-button").focus()
    press("Enter")
    expect(page.locator(".thumbnail").nth(1)).to_be_focused()


def test_what_happens_is_told_to_a_screen_reader(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_role("status").first).to_contain_text("Ready")
    news = page.locator("#news")
    choose(page, file_of(PICTURE))
    expect(news).to_have_text(re.compile(r"^DOE\^JANE.jpg: .*[0-9] %.* gate"))
    choose(page, file_of(b"hello", "note.txt"))
    expect(news).to_contain_text("note.txt: Not an image type that is taken. Save it as JPEG")
    expect(news).to_contain_text("All 2 pictures are done, 1 without an answer.")
    page.locator(".thumbnail").first.click()
    expect(news).to_contain_text("DOE^JANE.jpg: ")


def test_where_colours_are_the_users_own_the_bars_are_still_seen(open_page: Open) -> None:
    page = open_page(forced_colors="active")
    choose(page, file_of(PICTURE))
    answered(page)
    color = "element => getComputedStyle(element).backgroundColor"
    track = page.locator(".track").first.evaluate(color)
    fills = page.locator(".fill").evaluate_all(f"all => all.map({color})")
    assert track not in fills
    outline = "element => getComputedStyle(element).outlineStyle"
    assert page.locator(".thumbnail[aria-pressed=true]").evaluate(outline) == "solid"


def test_on_paper_the_answer_stands_with_its_caution_and_without_controls(open_page: Open) -> None:
    page = open_page(color_scheme="dark")
    choose(page, file_of(PICTURE))
    answered(page)
    page.emulate_media(media="print")
    for shown in (".disclaimer", HEADLINE, ".bars", ".stack .picture", ".facts"):
        expect(page.locator(shown)).to_be_visible()
    for left_out in ("#add", "#strip", "#state", ".as-json", ".opacity", ".looking"):
        expect(page.locator(left_out)).to_be_hidden()
    background = "element => getComputedStyle(element).backgroundColor"
    assert page.locator("body").evaluate(background) == "rgb(255, 255, 255)"
    assert page.locator(".card").evaluate(background) == "rgb(255, 255, 255)"
    expect(page.locator(".answer .disclaimer")).to_contain_text("not a medical device")


@pytest.mark.parametrize("size", ["A4", "Letter"])
def test_an_answer_is_printed_on_one_page_alone_or_beside_another(
    size: str, open_page: Open
) -> None:
    page = open_page()
    tall = encode(draw_radiograph(size=(200, 500)))
    change_answers(page, warnings=["A lateral view: trained on frontal ones.", "Inverted. " * 8])
    choose(page, file_of(tall), file_of(PICTURE), *(file_of(b"a") for _ in range(30)))
    expect(page.locator(".thumbnail .label").filter(has_text="…")).to_have_count(0)

    def pages() -> int:
        return len(re.findall(rb"/Type /Page\b(?!s)", page.pdf(format=size)))

    assert pages() == 1
    page.get_by_label("Compare with").select_option(index=1)
    assert pages() == 1


RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_rule_of_wcag_is_broken(scheme: str, width: int, open_page: Open) -> None:
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    axe = Axe()

    def check(where: str) -> None:
        found = axe.run(page, options=RULES)
        assert found.violations_count == 0, f"{where}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, where

    paper = page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor")
    assert (paper == "rgb(17, 23, 27)") is (scheme == "dark")
    check("empty")
    choose(
        page,
        file_of(PICTURE),
        file_of(b"hello", "a-name-that-is-rather-long.txt"),
        file_of(OTHER, "another-name-that-is-rather-long.png"),
    )
    expect(page.locator(".thumbnail .label").filter(has_text="…")).to_have_count(0)
    check("answer")
    page.locator(".looking summary").click()
    page.get_by_role("button", name="Invert").click()
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_label("Compare with").select_option(index=1)
    expect(page.locator(".film")).to_have_count(2)
    check("two films")
    page.locator(".thumbnail").nth(1).click()
    expect(page.locator("#answer .problem")).to_be_visible()
    check("problem")
    page.get_by_role("button", name="Remove this one").click()
    check("removed")
    page.evaluate("document.getElementById('key').hidden = false")
    check("key")


def test_names_of_any_length_stay_within_a_narrow_page(open_page: Open) -> None:
    page = open_page(viewport={"width": 320, "height": 600})
    names = ["a" * 90, "<b>b</b>", " ", "toString"]
    change_answers(
        page,
        probabilities=dict(zip(names, (0.4, 0.3, 0.2, 0.1), strict=True)),
        label=names[0],
        warnings=["w" * 300],
    )
    choose(page, file_of(PICTURE, "x" * 200 + ".png"), file_of(b"hello", "y" * 200))
    answered(page)
    assert page.locator(".bars tbody th").all_text_contents() == names
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        page.locator(".thumbnail").nth(1).click()
    expect(page.locator("#answer .problem")).to_be_visible()


@pytest.mark.parametrize("size", [20, 32])
def test_text_of_twice_the_size_stays_within_a_narrow_page(size: int, open_page: Open) -> None:
    page = open_page(viewport={"width": 320, "height": 600})
    choose(page, file_of(PICTURE), file_of(b"hello"))
    answered(page)
    page.evaluate("size => { document.documentElement.style.fontSize = `${size}px` }", size)
    page.evaluate("document.getElementById('key').hidden = false")
    for at in (0, 1):
        page.locator(".thumbnail").nth(at).click()
        assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_the_line_about_medical_devices_stays_in_sight(open_page: Open) -> None:
    page = open_page(viewport={"width": 360, "height": 500})
    choose(page, file_of(PICTURE))
    answered(page)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert page.evaluate("scrollY") > 200
    expect(page.get_by_text("not a medical device").first).to_be_in_viewport()
