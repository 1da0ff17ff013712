"""What leaves the tab, what is saved from it, and what is lost with it."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from app.inference.overlay import DISCLAIMER
from tests.app.web.browsing import CLASSES, OTHER, PICTURE, answered, choose, edit_answers, file_of

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


def test_all_results_can_be_saved_as_one_table(open_page: Open) -> None:
    page = open_page()
    button = page.get_by_role("button", name="All results as CSV")
    expect(button).to_be_hidden()
    names = ['=HYPERLINK("x").jpg', "Müller, Ä.png", "@b.txt"]
    sent: list[dict[str, Any]] = []
    edit_answers(page, sent.append)
    choose(page, *map(file_of, (PICTURE, OTHER), names))
    expect(page.locator(".thumbnail .label").filter(has_text="…")).to_have_count(0)
    page.unroute("**/predict*")
    choose(page, file_of(b"hello", names[2]))
    expect(page.locator(".thumbnail .label").filter(has_text="…")).to_have_count(0)
    with page.expect_download() as saved:
        button.click()
    assert saved.value.suggested_filename == "cxr-results.csv"
    data = Path(saved.value.path()).read_bytes()
    assert data.startswith(b"\xef\xbb\xbf"), "so that a spreadsheet reads it as UTF-8"
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert [row["file"] for row in rows] == [f"'{names[0]}", names[1], f"'{names[2]}"]
    by_request = {answer["request_id"]: answer for answer in sent}
    for row in rows[:2]:
        answer = by_request[row["request_id"]]
        assert row["label"] == answer["label"]
        assert float(row["confidence"]) == answer["confidence"]
        for name in CLASSES:
            assert float(row[f"probability_{name}"]) == answer["probabilities"][name]
        assert row["prediction_set"] == "; ".join(answer["prediction_set"])
        assert row["uncertain"] == str(answer["uncertain"]).lower()
        assert row["warnings"] == "; ".join(answer["warnings"])
        assert (row["sha256"], row["error"]) == (answer["model"]["sha256"], "")
    assert rows[2]["error"].startswith("Not an image type that is taken: ")
    assert rows[2]["label"] == rows[2]["probability_COVID"] == ""
    assert {row["note"] for row in rows} == {DISCLAIMER}
    assert all(datetime.fromisoformat(row["answered_at"]).tzinfo for row in rows)


def test_a_table_without_any_answer_is_a_table_of_errors(open_page: Open) -> None:
    page = open_page()
    choose(page, file_of(b"hello"))
    with page.expect_download() as saved:
        page.get_by_role("button", name="All results as CSV").click()
    with Path(saved.value.path()).open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert not [name for name in row if name.startswith("probability_")]
    assert row["error"].startswith("Not an image type")


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
