"""What leaves the tab, what is saved from it, and what is lost with it."""

from __future__ import annotations

import io
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from app.inference.overlay import DISCLAIMER
from tests.app.web.browsing import CLASSES, PICTURE, answered, choose, file_of

if TYPE_CHECKING:
    from tests.app.web.browsing import Open


def test_the_files_name_is_not_sent_and_nothing_is_stored(open_page: Open) -> None:
    page = open_page()
    page.evaluate(RECORD_FORMS)
    choose(page, file_of(PICTURE))
    answered(page)
    assert page.evaluate("forms") == [["file", "picture"]]
    assert page.locator(".thumbnail .name").text_content() == "DOE^JANE.jpg"
    kept = page.evaluate(
        "async () => [localStorage.length, sessionStorage.length, document.cookie,"
        " (await indexedDB.databases()).length]"
    )
    assert kept == [0, 0, "", 0]


# Chromium does not show what a form with a file was sent as.
RECORD_FORMS = """() => {
  globalThis.forms = [];
  const append = FormData.prototype.append;
  FormData.prototype.append = function (name, file, ...rest) {
    forms.push([name, ...rest]);
    append.call(this, name, file, ...rest);
  };
}"""


def test_result_and_overlay_can_be_saved(open_page: Open) -> None:
    page = open_page()
    choose(page, file_of(PICTURE))
    answered(page)
    with page.expect_download() as saved:
        page.get_by_text("Result as JSON").click()
    result = json.loads(Path(saved.value.path()).read_text())
    assert saved.value.suggested_filename == f"cxr-{result['request_id'][:8]}.json"
    assert [*result["probabilities"]] == CLASSES
    assert result["operating_points"] == {"COVID": 0.2, "NORMAL": 0.9}
    assert (result["note"], result["file"]) == (DISCLAIMER, "DOE^JANE.jpg")
    assert datetime.fromisoformat(result["answered_at"]).tzinfo is not None
    assert "layers" not in result
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(RECORD_DRAWING)
    page.get_by_label("COVID", exact=True).check()
    page.get_by_label("Strength of the heat map").fill("45")
    with page.expect_download() as saved:
        page.get_by_text("Overlay as PNG").click()
    assert saved.value.suggested_filename.endswith("-COVID.png")
    with Image.open(io.BytesIO(Path(saved.value.path()).read_bytes())) as overlay:
        pixels = np.asarray(overlay.convert("RGB")).astype(int)
    height = 480 * 260 // 300
    assert pixels.shape[1] == 480
    assert pixels[:height].std() > 20
    assert (np.ptp(pixels[:height], axis=2) > 30).any(), "the heat has colours"
    assert pixels[height:].max() > 200, "words stand below"
    words, strengths = page.evaluate("[words, strengths]")
    assert words[0].startswith("What speaks for COVID, ")
    assert words[-1] == DISCLAIMER
    assert strengths == [1, 0.45]
    assert not [url for url in asked if url.startswith("http") and "/health" not in url]


RECORD_DRAWING = """() => {
  Object.assign(globalThis, { words: [], strengths: [] });
  const { fillText, drawImage } = CanvasRenderingContext2D.prototype;
  Object.assign(CanvasRenderingContext2D.prototype, {
    fillText(line, ...rest) { words.push(line); fillText.call(this, line, ...rest); },
    drawImage(...given) { strengths.push(this.globalAlpha); drawImage.apply(this, given); },
  });
}"""


def test_whoever_leaves_with_answers_is_asked_first(open_page: Open) -> None:
    page = open_page()
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.locator("#sample").click()
    answered(page)
    page.close(run_before_unload=True)
    page.wait_for_event("close")
    assert asked == [], "a drawing is no loss"


def test_whoever_leaves_with_pictures_is_asked_first(open_page: Open) -> None:
    page = open_page()
    choose(page, file_of(PICTURE))
    answered(page)
    page.locator(".thumbnail").click()
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    expect(page.locator("#answer .answer")).to_be_visible()
