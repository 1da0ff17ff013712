"""An answer as the page shows it: the words, the bars, and which model they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.app.web.browsing import (
    CLASSES,
    HEADLINE,
    PICTURE,
    answered,
    change_answers,
    choose,
    file_of,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.app.web.browsing import Open


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


def bar_widths(page: Page) -> list[float]:
    widths = page.locator(".bars .fill").evaluate_all("bars => bars.map(b => b.style.width)")
    return [float(width.rstrip("%")) / 100 for width in widths]


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
