"""Pictures without an answer: the page says why, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.sync_api import expect

from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph
from tests.app.web.browsing import (
    HEADLINE,
    OTHER,
    PICTURE,
    answer_first,
    answered,
    choose,
    file_of,
    refuse,
    say,
)
from tests.live import live

if TYPE_CHECKING:
    from pathlib import Path

    from tests.app.web.browsing import Open


ANSWER = {
    "label": "COVID",
    "confidence": 0.9,
    "probabilities": {"COVID": 0.9, "NORMAL": 0.1},
    "prediction_set": ["COVID"],
    "uncertain": False,
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
                {"prediction_set": None},
                {"uncertain": None},
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
    assert page.locator(".thumbnail.failed").count() == 0, "a refusal is no fault"


def test_what_is_no_chest_x_ray_is_shown_beside_the_refusal(
    refusing: Path, open_page: Open
) -> None:
    with live(refusing, drain_s="0") as (client, _):
        page = open_page(str(client.base_url))
        choose(page, file_of(PICTURE))
        problem = page.locator("#answer .problem")
        expect(problem.locator("h2")).to_have_text("Not a chest X-ray")
        expect(problem.locator(".detail")).to_contain_text("is answered")
        expect(problem.locator(".advice")).to_contain_text("turn it upright")
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


def test_a_refused_film_is_not_shown_in_the_colour_of_a_fault(open_page: Open) -> None:
    page = open_page()
    refuse(page, 1, 422, "not-a-chest-x-ray", "Not a chest X-ray")
    choose(page, file_of(PICTURE))
    border = "element => getComputedStyle(element).borderLeftColor"
    label = "element => getComputedStyle(element).color"
    problem, thumbnail = page.locator("#answer .problem"), page.locator(".thumbnail .label")
    expect(problem.locator("h2")).to_have_text("Not a chest X-ray")
    calm = problem.evaluate(border), thumbnail.evaluate(label)
    assert calm[1] == page.locator("body").evaluate(label)
    page.unroute("**/predict*")
    refuse(page, 1, 500, None, "Internal Server Error")
    page.get_by_role("button", name="Remove all").click()
    choose(page, file_of(PICTURE))
    expect(problem.locator("h2")).to_have_text("Internal Server Error")
    alarm = problem.evaluate(border), thumbnail.evaluate(label)
    assert calm[0] != alarm[0]
    assert alarm[0] == alarm[1]
