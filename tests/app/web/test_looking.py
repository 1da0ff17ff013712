"""A film is looked at closer, and its window is set; the answer stays as it is."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.app.web.browsing import OTHER, PICTURE, answered, choose, file_of

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.app.web.browsing import Open

FRAME = ".film .stack"


@pytest.fixture
def page(open_page: Open) -> Page:
    """With a film that was answered, its frame in sight, and no heat map over it."""
    page = open_page(viewport={"width": 1280, "height": 1000})
    choose(page, file_of(PICTURE))
    answered(page)
    expect(page.locator(FRAME)).to_have_attribute("style", re.compile("--ratio"))
    page.get_by_label("Strength of the heat map").fill("0")
    page.locator(FRAME).scroll_into_view_if_needed()
    return page


def view_of(page: Page) -> tuple[float, float, float]:
    """Where the film's corner is, in per cent of the frame's sides, and how much it is enlarged."""
    style = page.locator(".plane").first.get_attribute("style") or ""
    found = re.search(r"translate\(([-\d.e]+)%, ([-\d.e]+)%\) scale\(([\d.]+)\)", style)
    assert found, style
    across, down, zoom = map(float, found.groups())
    return across, down, zoom


def pixels(frame: Locator) -> np.ndarray:
    """What is seen of a film in its frame, gray levels."""
    with Image.open(io.BytesIO(frame.screenshot())) as seen:
        return np.asarray(seen.convert("L")).astype(int)


def window_of(page: Page) -> tuple[float, float]:
    level, width = (page.get_by_label(f"Window {name}") for name in ("level", "width"))
    return float(level.input_value()), float(width.input_value())


def drag(page: Page, across: float, down: float) -> None:
    """From the middle of the film, in shares of its frame."""
    box = page.locator(FRAME).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across * box["width"], y + down * box["height"], steps=4)
    page.mouse.up()


def test_the_buttons_zoom_and_reset(page: Page) -> None:
    assert view_of(page) == (0, 0, 1)
    whole = pixels(page.locator(FRAME))
    page.get_by_role("button", name="Zoom in").click()
    assert view_of(page) == pytest.approx((-12.5, -12.5, 1.25)), "the middle stays"
    expect(page.locator(".zoom")).to_have_text("125 %")
    assert np.abs(pixels(page.locator(FRAME)) - whole).mean() > 3
    page.get_by_role("button", name="Zoom out").click()
    page.get_by_role("button", name="Zoom out").click()
    assert view_of(page) == (0, 0, 1), "never smaller than its frame"
    for _ in range(20):
        page.get_by_role("button", name="Zoom in").click()
    assert view_of(page)[2] == 12
    page.get_by_role("button", name="Reset view").click()
    assert view_of(page) == (0, 0, 1)
    assert np.abs(pixels(page.locator(FRAME)) - whole).max() <= 1


def test_the_wheel_zooms_where_it_points_once_the_film_was_clicked_on(page: Page) -> None:
    box = page.locator(FRAME).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.wheel(0, -200)
    expect(page.locator(".zoom")).to_have_text("100 %")
    page.locator(FRAME).click(position={"x": 1, "y": 1})
    page.mouse.wheel(0, -200)
    expect(page.locator(".zoom")).not_to_have_text("100 %")
    across, down, zoom = view_of(page)
    assert zoom == pytest.approx(np.exp(0.4), rel=1e-3)
    assert (across, down) == pytest.approx((0, 0), abs=1), "its corner stays in the corner"


def test_dragging_moves_a_film_that_is_zoomed_and_not_out_of_its_frame(page: Page) -> None:
    drag(page, 0.2, 0.2)
    assert view_of(page) == (0, 0, 1)
    page.locator(FRAME).dblclick()
    assert view_of(page) == pytest.approx((-50, -50, 2), abs=1)
    drag(page, 0.2, -0.1)
    assert view_of(page) == pytest.approx((-30, -60, 2), abs=2)
    drag(page, 0.45, 0.45)
    drag(page, 0.45, 0.45)
    assert view_of(page) == pytest.approx((0, 0, 2))


def test_two_fingers_zoom(page: Page) -> None:
    page.locator(FRAME).evaluate(PINCH)
    across, down, zoom = view_of(page)
    assert zoom == pytest.approx(2)
    assert (across, down) == pytest.approx((-50, -50), abs=1)


# From a quarter of the frame apart to half of it, about its middle.
PINCH = """(frame) => {
  const { left, top, width, height } = frame.getBoundingClientRect();
  frame.setPointerCapture = () => {}; // which takes no made-up pointer
  const point = (kind, pointerId, across) => frame.dispatchEvent(new PointerEvent(kind, {
    pointerId, clientX: left + across * width, clientY: top + height / 2, bubbles: true,
  }));
  point("pointerdown", 7, 0.375);
  point("pointerdown", 8, 0.625);
  point("pointermove", 7, 0.25);
  point("pointermove", 8, 0.75);
  point("pointerup", 7, 0.25);
  point("pointerup", 8, 0.75);
}"""


def test_keys_zoom_move_window_and_invert(page: Page) -> None:
    frame, press = page.locator(FRAME), page.keyboard.press
    frame.focus()
    press("ArrowRight")
    assert view_of(page) == (0, 0, 1)
    for _ in range(4):
        press("+")
    zoom = 1.25**4
    middle = 50 * (1 - zoom)
    assert view_of(page) == pytest.approx((middle, middle, zoom), rel=1e-3)
    press("ArrowRight")
    press("ArrowUp")
    assert view_of(page) == pytest.approx((middle - 10, middle + 10, zoom), rel=1e-3)
    press("-")
    assert view_of(page)[2] == pytest.approx(1.25**3, rel=1e-3)
    assert window_of(page) == (127.5, 255)
    press("Shift+ArrowLeft")
    press("Shift+ArrowUp")
    assert window_of(page) == (119.5, 247)
    press("i")
    inverted = page.get_by_role("button", name="Invert")
    expect(inverted).to_have_attribute("aria-pressed", "true")
    press("Control+i")
    expect(inverted).to_have_attribute("aria-pressed", "true")
    press("0")
    assert (view_of(page), window_of(page)) == ((0, 0, 1), (127.5, 255))
    expect(inverted).to_have_attribute("aria-pressed", "false")


def test_the_window_maps_gray_levels_as_a_window_does(page: Page) -> None:
    frame = page.locator(FRAME)
    before = pixels(frame)
    page.get_by_label("Window level").fill("100")
    page.get_by_label("Window width").fill("80")
    expected = np.clip((before - 60) * 255 / 80, 0, 255)
    assert np.abs(pixels(frame) - expected).mean() < 6, "rounding, four times enlarged"
    page.get_by_role("button", name="Invert").click()
    assert np.abs(pixels(frame) - (255 - expected)).mean() < 6


def test_a_drag_with_shift_sets_the_window(page: Page) -> None:
    page.keyboard.down("Shift")
    drag(page, -0.4, -0.2)
    page.keyboard.up("Shift")
    level, width = window_of(page)
    assert (level, width) == pytest.approx((127.5 - 51, 255 - 102), abs=3)
    assert view_of(page) == (0, 0, 1)


def test_the_overlay_is_saved_with_the_window_and_says_so(page: Page) -> None:
    def saved() -> np.ndarray:
        with page.expect_download() as download:
            page.get_by_text("Overlay as PNG").click()
        with Image.open(Path(download.value.path())) as overlay:
            return np.asarray(overlay.convert("L")).astype(int)[: 480 * 260 // 300]

    plain = saved()
    page.get_by_role("button", name="Invert").click()
    page.evaluate(RECORD_WORDS)
    assert np.abs(saved() + plain - 255).max() <= 2
    assert "Window: level 128, width 255, inverted" in page.evaluate("words")


RECORD_WORDS = """() => {
  globalThis.words = [];
  const { fillText } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.fillText = function (line, ...rest) {
    words.push(line);
    fillText.call(this, line, ...rest);
  };
}"""


def test_the_next_film_is_seen_whole_and_as_it_came_and_nothing_is_sent(page: Page) -> None:
    choose(page, file_of(OTHER))
    expect(page.locator(".thumbnail .label").filter(has_text="…")).to_have_count(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Invert").click()
    page.get_by_role("button", name="Zoom in").click()
    page.locator(".thumbnail").first.click()
    assert view_of(page) == (0, 0, 1)
    expect(page.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "false")
    assert page.locator(".stack .picture").evaluate("i => i.style.filter") == ""
    assert not [url for url in asked if url.startswith("http") and "/health" not in url]
