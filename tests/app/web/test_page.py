from __future__ import annotations

import io
import json
import re
from base64 import b64encode
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from app.inference.overlay import DISCLAIMER
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode
from tests.live import free_port, live

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import FileChooser, Page

    Open = Callable[..., Page]

PICTURE = encode(draw_radiograph(), "JPEG")
OTHER = encode(draw_radiograph(5, (200, 400)))
DICOM = write_dicom(np.asarray(draw_radiograph(size=(400, 300))))
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
CLASSES = ["COVID", "NORMAL", "PNEUMONIA"]


def file_of(data: bytes, name: str = "DOE^JANE.jpg") -> Any:
    return {"name": name, "mimeType": "", "buffer": data}


def choose(page: Page, *files: Any) -> None:
    page.locator("#files").set_input_files(list(files))


def answered(page: Page) -> None:
    expect(page.locator("#answer .answer")).to_be_visible()


HEADLINE = "#answer .card h2"


def test_a_chosen_picture_is_answered_with_bars_heat_and_what_answered(open_page: Open) -> None:
    page = open_page()
    choose(page, file_of(PICTURE))
    answered(page)
    rows = page.locator(".bars tbody tr")
    assert rows.locator("th").all_text_contents() == CLASSES
    shares = [float(share.split()[0]) for share in rows.locator(".share").all_text_contents()]
    assert sum(shares) == pytest.approx(100, abs=0.2)
    likeliest = page.locator(".bars .likeliest th").text_content()
    assert likeliest == CLASSES[int(np.argmax(shares))]
    assert page.locator(".bars .tick").count() == 3
    assert "calibrated" in page.locator("#model").inner_text()
    assert "ms" in page.locator(".facts").inner_text()
    size = "image => [image.naturalWidth, image.naturalHeight]"
    assert page.locator(".stack .picture").evaluate(size) == [300, 260]
    assert page.locator(".stack .heat").evaluate(size) == [75, 65]


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


def bar_widths(page: Page) -> list[float]:
    widths = page.locator(".bars .fill").evaluate_all("bars => bars.map(b => b.style.width)")
    return [float(width.rstrip("%")) / 100 for width in widths]


# Chromium does not show what a form with a file was sent as.
RECORD_FORMS = """() => {
  globalThis.forms = [];
  const append = FormData.prototype.append;
  FormData.prototype.append = function (name, file, ...rest) {
    forms.push([name, ...rest]);
    append.call(this, name, file, ...rest);
  };
}"""


@pytest.mark.parametrize(
    ("shares", "title", "short", "meaning"),
    [
        pytest.param(
            (0.05, 0.92, 0.03),
            "Looks most like NORMAL",
            "NORMAL",
            "that get such a figure, about 92 would be NORMAL. With other pictures",
            id="one-class",
        ),
        pytest.param(
            (0.0002, 0.9996, 0.0002),
            "Looks most like NORMAL",
            "NORMAL",
            "nearly all would be NORMAL",
            id="very-sure",
        ),
        pytest.param(
            (0.15, 0.8, 0.05),
            "Uncertain",
            "Uncertain",
            "take this as no answer. NORMAL is the likeliest, with 80.0 %.",
            id="none",
        ),
        pytest.param(
            (0.3, 0.1, 0.6),
            "Not clear-cut: PNEUMONIA or COVID",
            "PNEUMONIA or COVID",
            "PNEUMONIA is the likeliest, with 60.0 %. "
            "COVID reaches its operating point, too, and cannot be left out.",
            id="two-classes",
        ),
        pytest.param(
            (0.3, 0.65, 0.05),
            "Not clear-cut: NORMAL or COVID",
            "NORMAL or COVID",
            "NORMAL is the likeliest, with 65.0 %, but below its operating point. "
            "COVID reaches its own. None of them can be left out.",
            id="another-class",
        ),
    ],
)
def test_what_an_answer_means_is_said_in_words(
    shares: tuple[float, ...], title: str, short: str, meaning: str, open_page: Open
) -> None:
    page = open_page()
    probabilities = dict(zip(CLASSES, shares, strict=True))
    label = max(probabilities, key=lambda name: probabilities[name])
    change_answers(
        page,
        probabilities=probabilities,
        label=label,
        confidence=max(shares),
        uncertain=title == "Uncertain",
    )
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text(title)
    expect(page.locator(".meaning")).to_contain_text(meaning)
    expect(page.locator(".thumbnail .label")).to_have_text(short)
    expect(page.locator("#news")).to_contain_text(meaning)
    assert bar_widths(page) == pytest.approx(shares)
    points = (0.2, 0.9, 0.5)
    ticks = page.locator(".bars .tick").evaluate_all("ticks => ticks.map(t => t.style.left)")
    assert ticks == [f"{100 * point:.0f}%" for point in points]
    for name, share, point in zip(CLASSES, shares, points, strict=True):
        side = "reached" if share >= point else "not reached"
        spelled = f"{100 * share:.1f} %"
        spelled = "> 99.9 %" if share > 0.999 else "< 0.1 %" if share < 0.001 else spelled
        row = page.get_by_role("row", name=name)
        expect(row.get_by_role("rowheader")).to_have_text(name)
        expect(row.get_by_role("cell").first).to_have_text(spelled)
        expect(row.get_by_role("cell").last).to_have_text(f"{100 * point:.1f} %, {side}")


def change_answers(page: Page, **change: Any) -> None:
    """Let the answers to this page have these values instead of the service's."""
    edit_answers(page, lambda body: body.update(change))


def edit_answers(page: Page, edit: Callable[[Any], object]) -> None:
    """Let what the service answers be edited before the page has it."""

    def answer(route: Any) -> None:
        reply = route.fetch()
        body = reply.json()
        edit(body)
        route.fulfill(response=reply, json=body)

    page.route("**/predict*", answer)


def test_operating_points_are_those_of_the_model_that_answered(open_page: Open) -> None:
    page = open_page()
    change_answers(page, model={"name": "other", "sha256": "0" * 64, "calibrated": False})
    choose(page, file_of(PICTURE))
    answered(page)
    expect(page.locator(".facts")).to_contain_text("other")
    expect(page.locator(".bars .tick")).to_have_count(0)
    expect(page.locator(".key")).to_be_hidden()
    expect(page.locator(".bars caption")).to_have_text("Scores, not calibrated")


def test_until_the_operating_points_are_known_no_class_is_said_to_be_alone(open_page: Open) -> None:
    page = open_page()
    page.route("**/model", lambda route: route.fulfill(status=503, json={}))
    page.reload()
    shares = {"COVID": 0.3, "NORMAL": 0.1, "PNEUMONIA": 0.6}
    change_answers(page, probabilities=shares, label="PNEUMONIA", confidence=0.6, uncertain=False)
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text("Most like PNEUMONIA")
    expect(page.locator(".meaning")).to_contain_text("no other class can be left out")
    page.unroute("**/model")
    page.clock.fast_forward(10_001)
    expect(page.locator(HEADLINE)).to_have_text("Not clear-cut: PNEUMONIA or COVID")
    expect(page.locator(".thumbnail .label")).to_have_text("PNEUMONIA or COVID")
    expect(page.locator("#news")).to_contain_text("Not clear-cut: PNEUMONIA or COVID")


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


ANSWER = {
    "label": "COVID",
    "confidence": 0.9,
    "probabilities": {"COVID": 0.9, "NORMAL": 0.1},
    "model": {"name": "a", "sha256": "0" * 64},
}


@pytest.mark.parametrize(
    ("reply", "title", "detail"),
    [
        pytest.param(
            {"status": 504, "body": "<h1>Gateway Timeout</h1>"},
            "The service cannot answer",
            "It said 504.",
            id="a-gateways-page",
        ),
        pytest.param(
            {"status": 429, "body": "slower"}, "The service cannot answer", "429", id="a-limit"
        ),
        pytest.param(
            {"status": 500, "json": {"error": "x"}},
            "The service cannot answer",
            "It said 500.",
            id="json-of-another-kind",
        ),
        pytest.param(
            {"status": 200, "body": "<h1>Welcome to the hotel</h1>"},
            "The answer cannot be read",
            "none of this service's answers",
            id="a-page-that-says-200",
        ),
        *(
            pytest.param(
                {"status": 200, "json": {**ANSWER, **change}},
                "The answer cannot be read",
                "none of",
                id=f"without-{next(iter(change))}",
            )
            for change in (
                {"label": None},
                {"probabilities": {}},
                {"probabilities": "many"},
                {"confidence": None},
                {"model": {}},
            )
        ),
    ],
)
def test_an_answer_of_something_in_between_is_told_and_holds_nothing_up(
    reply: dict[str, Any], title: str, detail: str, open_page: Open
) -> None:
    page = open_page()
    answer_first(page, 3, **reply)
    choose(page, *(file_of(PICTURE) for _ in range(4)))
    expect(page.locator(HEADLINE)).to_have_text(title)
    expect(page.locator(".detail")).to_contain_text(detail)
    expect(page.locator(".advice")).to_contain_text("Try again in a while")
    expect(page.locator(".thumbnail.failed")).to_have_count(3)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#answer")).to_be_focused()
    answered(page)


def test_a_file_that_cannot_be_read_is_told_and_not_sent(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    (tmp_path / "gone.png").write_bytes(OTHER)
    say(page, "loading")
    page.locator("[data-state=loading]").wait_for()
    page.locator("#files").set_input_files(tmp_path / "gone.png")
    expect(page.locator(HEADLINE)).to_have_text("Waiting for the service …")
    (tmp_path / "gone.png").unlink()
    page.unroute("**/health")
    expect(page.locator(HEADLINE)).to_have_text("This file cannot be read")
    expect(page.locator(".advice")).to_contain_text("Choose it again")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def say(page: Page, status: str, reason: str | None = None) -> None:
    """Let the service say that it is in another state, at once."""
    page.route(
        "**/health",
        lambda route: route.fulfill(status=503, json={"status": status, "reason": reason}),
    )
    page.clock.fast_forward(10_001)


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


@pytest.mark.parametrize(
    ("data", "title", "advice"),
    [
        pytest.param(b"", "malformed", "It may be empty", id="empty"),
        pytest.param(b"hello", "Not an image type", "Save it as JPEG or PNG", id="text"),
        pytest.param(PICTURE[:2000], "cannot be used", "Export it again", id="truncated"),
        pytest.param(b"\0" * 1_100_000, "too large", "Export the picture smaller", id="large"),
        pytest.param(
            write_dicom(np.asarray(draw_radiograph()), Modality="CT"),
            "Not a modality",
            "projection radiographs",
            id="computed-tomography",
        ),
    ],
)
def test_a_file_that_is_refused_is_told_why_and_what_to_do(
    data: bytes, title: str, advice: str, open_page: Open
) -> None:
    page = open_page()
    choose(page, file_of(data))
    problem = page.locator("#answer .problem")
    expect(problem.locator("h2")).to_contain_text(title)
    expect(problem.locator(".advice")).to_contain_text(advice)
    expect(problem.locator(".detail")).not_to_be_empty()
    expect(problem.locator(".request")).to_contain_text("Request ")
    expect(problem.locator(".again")).to_be_hidden()


def test_what_is_no_chest_x_ray_is_shown_beside_the_refusal(
    refusing: Path, open_page: Open
) -> None:
    with live(refusing, drain_s="0") as (client, _):
        page = open_page(str(client.base_url))
        choose(page, file_of(PICTURE))
        problem = page.locator("#answer .problem")
        expect(problem.locator("h2")).to_have_text("Not a chest X-ray")
        expect(problem.locator(".detail")).to_contain_text("is answered")
        expect(problem.locator("img")).to_be_visible()


@pytest.mark.parametrize(
    ("status", "kind", "title"),
    [
        pytest.param(504, "deadline-exceeded", "The answer took too long", id="late"),
        pytest.param(500, None, "Internal Server Error", id="bug"),
    ],
)
def test_what_may_pass_can_be_tried_again(
    status: int, kind: str | None, title: str, open_page: Open
) -> None:
    page = open_page()
    refuse(page, 1, status, kind, title)
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text(title)
    page.get_by_role("button", name="Try again").click()
    answered(page)


@pytest.mark.parametrize("kind", ["queue-full", "not-ready", "inference-stopped"])
def test_what_passes_by_itself_is_waited_for(kind: str, open_page: Open) -> None:
    page = open_page()
    refuse(page, 2, 503, kind, "Not now")
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text("The service is busy; it is asked again …")
    answered(page)


@pytest.mark.parametrize("status", [502, 503])
def test_a_proxy_whose_service_starts_anew_is_waited_for(status: int, open_page: Open) -> None:
    page = open_page()
    answer_first(page, 3, status=status, body="<h1>-</h1>")
    choose(page, file_of(PICTURE), file_of(OTHER))
    expect(page.locator(HEADLINE)).to_have_text("The service is busy; it is asked again …")
    answered(page)
    expect(page.locator(".thumbnail.failed")).to_have_count(0)


def test_what_does_not_pass_is_told_in_the_end(open_page: Open) -> None:
    page = open_page()
    refuse(page, 3, 503, "queue-full", "Too many requests wait already")
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text("Too many requests wait already")
    page.get_by_role("button", name="Try again").click()
    answered(page)


def refuse(page: Page, count: int, status: int, kind: str | None, title: str) -> None:
    """Let the first `count` uploads be refused."""
    problem = {"type": f"urn:cxr:problem:{kind}", "title": title, "status": status, "detail": "-"}
    answer_first(page, count, status=status, json=problem, headers={"Retry-After": "1"})


def answer_first(page: Page, count: int, **reply: Any) -> None:
    """Let the first `count` uploads get this reply, all others the service's."""
    left = iter(range(count))

    def answer(route: Any) -> None:
        route.continue_() if next(left, None) is None else route.fulfill(**reply)

    page.route("**/predict*", answer)


def test_an_upload_on_which_nothing_moves_is_given_up_and_sent_again(open_page: Open) -> None:
    page = open_page()
    asked: list[object] = []

    def answer(route: Any) -> None:
        asked.append(route)
        if len(asked) > 1:
            route.continue_()

    page.route("**/predict*", answer)
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text("Sending …")
    page.clock.fast_forward(120_001)
    answered(page)


def test_a_key_is_asked_for_only_where_one_is_needed(calibrated: Path, open_page: Open) -> None:
    without = open_page()
    expect(without.locator("#key")).to_be_hidden()
    with live(calibrated, drain_s="0", api_keys="right-key") as (client, _):
        page = open_page(str(client.base_url))
        field = page.get_by_label("This service asks for an API key.")
        expect(field).to_be_visible()
        choose(page, file_of(PICTURE))
        expect(page.locator(HEADLINE)).to_have_text("Waiting for a key …")
        expect(page.locator("#news")).to_have_text("This service asks for an API key.")
        for wrong, words in (
            ("wrong-key", "The service does not take this key."),
            ("schlüssel", "letters, digits and signs only"),
            ("two words", "no space"),
        ):
            field.fill(wrong)
            field.press("Enter")
            expect(page.get_by_role("alert")).to_contain_text(words)
            expect(field).to_have_attribute("aria-invalid", "true")
            expect(field).to_be_focused()
        field.fill("right-key")
        field.press("Enter")
        answered(page)
        expect(field).to_be_hidden()
        expect(page.locator(".bars .tick")).to_have_count(3)


def test_a_key_that_cannot_be_checked_is_not_taken(calibrated: Path, open_page: Open) -> None:
    with live(calibrated, drain_s="0", api_keys="right-key") as (client, _):
        page = open_page(str(client.base_url))
        field = page.get_by_label("This service asks for an API key.")
        expect(field).to_be_visible()
        page.route("**/model", lambda route: route.fulfill(status=503, json={}))
        field.fill("right-key")
        field.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("cannot check it now")
        expect(field).to_have_attribute("aria-invalid", "false")
        expect(field).to_be_focused()
        page.unroute("**/model")
        field.press("Enter")
        expect(field).to_be_hidden()


def test_one_key_is_checked_at_a_time(calibrated: Path, open_page: Open) -> None:
    with live(calibrated, drain_s="0", api_keys="right-key") as (client, _):
        page = open_page(str(client.base_url))
        field = page.get_by_label("This service asks for an API key.")
        expect(field).to_be_visible()
        held: list[Any] = []
        page.route("**/model", lambda route: held.append(route))
        field.fill("wrong-key")
        field.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("Being checked …")
        field.fill("right-key")
        field.press("Enter")  # while the other is being checked
        assert len(held) == 1
        page.unroute("**/model")  # which lets it go on
        expect(page.get_by_role("alert")).to_contain_text("does not take this key")
        field.press("Enter")
        expect(field).to_be_hidden()


def test_where_no_key_is_needed_any_more_none_is_asked_for(
    calibrated: Path, open_page: Open
) -> None:
    port = free_port()
    with live(calibrated, port=port, drain_s="0", api_keys="right-key") as (client, _):
        page = open_page(str(client.base_url))
        field = page.get_by_label("This service asks for an API key.")
        expect(field).to_be_visible()
        choose(page, file_of(PICTURE))
    page.clock.fast_forward(10_001)
    page.locator("[data-state=unreachable]").wait_for()
    with live(calibrated, port=port, drain_s="0"):
        page.clock.fast_forward(2_001)
        answered(page)
        expect(field).to_be_hidden()


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


def test_a_key_that_is_taken_no_more_is_asked_for_anew(calibrated: Path, open_page: Open) -> None:
    """Of two uploads under way the second is refused after the new key was given."""
    with live(calibrated, drain_s="0", api_keys="new-key") as (client, _):
        page = open_page(str(client.base_url))
        held: list[Any] = []

        def answer(route: Any) -> None:
            key = route.request.headers.get("x-api-key")
            if key == "new-key":
                route.continue_()
            elif held:
                route.fulfill(**refused)
            else:
                held.append(route)

        refused = {"status": 401, "json": {"type": "urn:cxr:problem:unauthorized", "title": "-"}}
        contract = {"sha256": "0" * 64, "operating_points": {}}
        page.route("**/model", lambda route: route.fulfill(json=contract))
        page.route("**/predict*", answer)
        field = page.get_by_label("This service asks for an API key.")
        field.fill("old-key")
        field.press("Enter")
        expect(field).to_be_hidden()
        choose(page, file_of(PICTURE), file_of(OTHER))
        expect(page.get_by_role("alert")).to_contain_text("does not take this key any more")
        page.unroute("**/model")
        field.fill("new-key")
        field.press("Enter")
        expect(page.locator(".thumbnail .label").nth(1)).not_to_contain_text("…")
        held[0].fulfill(**refused)
        answered(page)
        expect(field).to_be_hidden()


def test_the_service_may_go_away_and_come_back(calibrated: Path, open_page: Open) -> None:
    port = free_port()
    with live(calibrated, port=port, drain_s="0") as (client, _):
        page = open_page(str(client.base_url))
    choose(page, file_of(PICTURE))
    expect(page.locator("#state")).to_contain_text("Cannot be reached")
    expect(page.locator(HEADLINE)).to_have_text("Waiting for the service …")
    with live(calibrated, port=port, drain_s="0"):
        answered(page)
        expect(page.locator("#state")).to_contain_text("Ready, LiteRT on CPU")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        pytest.param("loading", "Loading the model", id="loading"),
        pytest.param("draining", "Shutting down", id="draining"),
        pytest.param("failed", "Cannot serve its model: no such file", id="failed"),
    ],
)
def test_the_state_of_the_service_is_seen_at_a_glance(
    status: str, words: str, open_page: Open
) -> None:
    page = open_page()
    say(page, status, "no such file" if status == "failed" else None)
    expect(page.locator("#state")).to_contain_text(words)


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


def test_a_model_that_cannot_be_explained_still_answers(open_page: Open) -> None:
    page = open_page()

    edit_answers(page, lambda body: body["layers"].pop("heat"))
    choose(page, file_of(PICTURE))
    answered(page)
    expect(page.locator(".stack .picture")).to_be_visible()
    for gone in (".stack .heat", ".controls", ".as-png"):
        expect(page.locator(gone)).to_be_hidden()


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
    press("Tab")
    expect(page.locator("#remove")).to_be_focused()
    press("Tab")
    expect(page.locator("#clear")).to_be_focused()
    press("Tab")
    press("Tab")
    press("Enter")
    expect(page.locator(".thumbnail").nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".thumbnail").nth(1)).to_be_focused()
    press("Tab")
    before = page.locator(".heat").get_attribute("src")
    press("ArrowDown")
    assert page.locator(".heat").get_attribute("src") != before
    press("Tab")
    press("ArrowLeft")
    assert page.locator(".heat").evaluate("i => i.style.opacity") == "0.55"
    press("Tab")
    with page.expect_download():
        press("Enter")
    press("Tab")
    with page.expect_download():
        press("Space")


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
    for shown in (".caution.always", HEADLINE, ".bars", ".stack .picture", ".facts"):
        expect(page.locator(shown)).to_be_visible()
    for left_out in ("#add", "#strip", "#state", ".as-json", ".opacity"):
        expect(page.locator(left_out)).to_be_hidden()
    background = "element => getComputedStyle(element).backgroundColor"
    assert page.locator("body").evaluate(background) == "rgb(255, 255, 255)"
    assert page.locator(".card").evaluate(background) == "rgb(255, 255, 255)"


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
    choose(page, file_of(PICTURE), file_of(b"hello", "a-name-that-is-rather-long.txt"))
    answered(page)
    check("answer")
    page.locator(".thumbnail").nth(1).click()
    expect(page.locator("#answer .problem")).to_be_visible()
    check("problem")
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


def test_without_javascript_the_page_says_so(open_page: Open) -> None:
    page = open_page(until="", java_script_enabled=False)
    expect(page.get_by_text("This page needs JavaScript")).to_be_visible()
    expect(page.locator("#add")).to_be_hidden()


def test_with_javascript_nothing_is_said_of_it(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_text("This page needs JavaScript")).to_have_count(0)


def test_the_page_comes_in_three_requests_and_fifty_kilobytes_at_most(open_page: Open) -> None:
    page = open_page(until="")
    sizes: dict[str, int] = {}
    page.on("response", lambda r: sizes.update({r.url: sum(r.request.sizes().values())}))
    page.goto(page.url)
    page.locator("[data-state=ready]").wait_for()
    own = {url: size for url, size in sizes.items() if not url.endswith(("/health", "/model"))}
    assert sorted(url.rsplit("/", 1)[1] for url in own) == ["", "app.css", "app.js"]
    assert sum(own.values()) < 50_000
