"""Pictures are added by every way that there is, gone through and removed."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.app.web.browsing import (
    DICOM,
    HEADLINE,
    OTHER,
    PICTURE,
    answered,
    choose,
    file_of,
    refuse,
)

if TYPE_CHECKING:
    from tests.app.web.browsing import Open


def test_a_picture_can_be_pasted(open_page: Open) -> None:
    page = open_page()
    page.evaluate(GIVE, [b64encode(PICTURE).decode(), "paste"])
    answered(page)


def test_a_picture_can_be_dropped_anywhere(open_page: Open) -> None:
    page = open_page()
    kept = page.evaluate(GIVE, [b64encode(PICTURE).decode(), "dragover"])
    assert kept, "else the browser takes it, and leaves the page"
    expect(page.locator("#add")).to_have_class("add over")
    assert page.evaluate(GIVE, [b64encode(PICTURE).decode(), "drop"])
    answered(page)
    expect(page.locator("#add")).to_have_class("add compact")


# What a browser makes of a picture that a person pastes or drops.
GIVE = """([data, kind]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const held = new DataTransfer();
  held.items.add(new File([bytes], "image.png", { type: "image/png" }));
  const given = { bubbles: true, cancelable: true };
  return !document.body.dispatchEvent(
    kind === "paste"
      ? new ClipboardEvent(kind, { ...given, clipboardData: held })
      : new DragEvent(kind, { ...given, dataTransfer: held }),
  );
}"""


def test_several_are_answered_each_with_its_label_and_can_be_gone_through(
    open_page: Open,
) -> None:
    page = open_page()
    choose(page, file_of(PICTURE), file_of(b"hello", "note.txt"), file_of(OTHER), file_of(DICOM))
    labels = page.locator(".thumbnail .label")
    expect(labels.nth(1)).to_have_text("Not an image type that is taken")
    for index in (0, 2, 3):
        expect(labels.nth(index)).not_to_contain_text("…")
        expect(labels.nth(index)).to_have_text(re.compile("COVID|NORMAL|PNEUMONIA|Uncertain"))
    thumbnails = page.locator(".thumbnail")
    expect(thumbnails.nth(0)).to_have_attribute("aria-pressed", "true")
    thumbnails.nth(1).click()
    expect(page.locator(HEADLINE)).to_have_text("Not an image type that is taken")
    thumbnails.nth(2).click()
    answered(page)
    size = page.locator(".stack .picture").evaluate("i => [i.naturalWidth, i.naturalHeight]")
    assert size == [200, 400]


def test_a_sample_is_drawn_and_says_that_it_is_one(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("button", name="Draw a sample").click()
    answered(page)
    expect(page.locator(".thumbnail .name")).to_have_text("drawn sample.png")
    expect(page.locator(".warnings li").first).to_contain_text("Drawn, not a patient")
    with page.expect_download() as saved:
        page.get_by_text("Result as JSON").click()
    result = json.loads(Path(saved.value.path()).read_text())
    assert result["warnings"][0].startswith("Drawn, not a patient")


def test_while_a_picture_waits_that_is_shown_and_it_can_be_removed(open_page: Open) -> None:
    page = open_page()
    page.route("**/predict*", lambda _: None)  # no answer, ever
    choose(page, *(file_of(PICTURE) for _ in range(3)))
    expect(page.locator(HEADLINE)).to_have_text(re.compile("Sending …|Waiting for the answer …"))
    expect(page.locator("#answer progress")).to_be_visible()
    expect(page.locator(".thumbnail .label").nth(2)).to_have_text("Waiting …")
    page.get_by_role("button", name="Remove all").click()
    expect(page.locator("#strip")).to_be_hidden()
    expect(page.locator("#answer")).to_be_hidden()
    page.unroute("**/predict*")
    choose(page, file_of(PICTURE))
    answered(page)


def test_one_picture_can_be_removed_and_the_next_is_shown(open_page: Open) -> None:
    page = open_page()
    choose(page, file_of(PICTURE, "one.jpg"), file_of(OTHER, "two.png"), file_of(b"a", "three"))
    answered(page)
    page.locator(".thumbnail").nth(1).click()
    button = page.get_by_role("button", name="Remove this one")
    for left in (["one.jpg", "three"], ["one.jpg"], []):
        button.click()
        expect(page.locator(".thumbnail .name")).to_have_text(left)
        if left:
            expect(page.locator(".thumbnail[aria-pressed=true] .name")).to_have_text(left[-1])
    expect(page.locator("#add")).to_be_focused()


def test_a_removal_can_be_undone_and_nothing_is_sent_again(open_page: Open) -> None:
    page = open_page()
    choose(page, file_of(PICTURE, "one.jpg"), file_of(OTHER, "two.png"), file_of(b"a", "three"))
    names, labels = page.locator(".thumbnail .name"), page.locator(".thumbnail .label")
    expect(labels.filter(has_text="…")).to_have_count(0)
    before = labels.all_text_contents()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    undo = page.get_by_role("button", name="Undo")
    page.locator(".thumbnail").nth(1).click()
    page.get_by_role("button", name="Remove this one").click()
    expect(page.locator("#undo")).to_contain_text("two.png is removed.")
    expect(page.locator("#news")).to_contain_text("two.png is removed.")
    undo.click()
    expect(names).to_have_text(["one.jpg", "two.png", "three"])
    expect(page.locator(".thumbnail").nth(1)).to_be_focused()
    expect(page.locator(".thumbnail[aria-pressed=true] .name")).to_have_text("two.png")
    expect(undo).to_be_hidden()
    page.get_by_role("button", name="Remove all").click()
    expect(page.locator("#undo")).to_contain_text("3 pictures are removed.")
    choose(page, file_of(PICTURE, "four.jpg"))
    expect(labels.filter(has_text="…")).to_have_count(0)
    asked.clear()
    undo.click()
    expect(names).to_have_text(["one.jpg", "two.png", "three", "four.jpg"])
    assert labels.all_text_contents()[:3] == before
    for image in page.locator(".thumbnail img:visible").all():
        assert image.evaluate("i => i.naturalWidth") > 0
    assert not [url for url in asked if "predict" in url]


def test_a_picture_that_was_removed_while_it_was_sent_is_sent_again(open_page: Open) -> None:
    page = open_page()
    page.route("**/predict*", lambda _: None)  # no answer, ever
    choose(page, *(file_of(PICTURE) for _ in range(3)))
    expect(page.locator(HEADLINE)).to_have_text(re.compile("Sending …|Waiting for the answer …"))
    page.get_by_role("button", name="Remove all").click()
    page.unroute("**/predict*")
    page.get_by_role("button", name="Undo").click()
    answered(page)
    expect(page.locator(".thumbnail .label").filter(has_text="…")).to_have_count(0)
    expect(page.locator(".thumbnail.failed")).to_have_count(0)


def test_what_was_removed_can_be_forgotten(open_page: Open) -> None:
    page = open_page()
    refuse(page, 1, 422, "not-a-chest-x-ray", "Not a chest X-ray")
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text("Not a chest X-ray")
    preview = page.locator(".thumbnail img").get_attribute("src")
    page.get_by_role("button", name="Remove this one").click()
    assert page.evaluate(LOADS, preview)
    page.get_by_role("button", name="Forget it").click()
    expect(page.locator("#undo")).to_be_hidden()
    expect(page.locator("#add")).to_be_focused()
    assert not page.evaluate(LOADS, preview), "no part of it is left in the tab"


LOADS = """(url) => new Promise((tell) => {
  const image = new Image();
  image.onload = () => tell(true);
  image.onerror = () => tell(false);
  image.src = url;
})"""


@pytest.mark.parametrize("width", [320, 1280])
def test_sixty_thumbnails_wrap_and_stay_within_the_page(width: int, open_page: Open) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    page.route("**/predict*", lambda route: route.fulfill(status=422, json={}))
    choose(page, *(file_of(b"a", f"{number}.png") for number in range(60)))
    expect(page.locator(".thumbnail .label").filter(has_text="…")).to_have_count(0)
    places = page.locator(".thumbnail").evaluate_all("all => all.map((each) => each.offsetTop)")
    assert len(set(places)) > 3
    strip = page.locator("#thumbnails")
    assert strip.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert strip.evaluate("e => e.clientHeight") < 400, "the answer is not pushed out of sight"
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.locator(".thumbnail").last.focus()
    expect(page.locator(".thumbnail").last).to_be_in_viewport()
    skip = page.get_by_role("link", name="Skip to the answer")
    skip.focus()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_be_focused()
