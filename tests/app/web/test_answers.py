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
    change_contract,
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
    assert sum(shares) == pytest.approx(100, abs=2), "whole percents"
    likeliest = page.locator(".bars .likeliest th").text_content()
    assert likeliest == CLASSES[int(np.argmax(shares))]
    assert page.locator(".bars .tick").count() == 3
    assert "calibrated" in page.locator("#model").inner_text()
    assert "ms" in page.locator(".facts").inner_text()
    size = "image => [image.naturalWidth, image.naturalHeight]"
    assert page.locator(".stack .picture").evaluate(size) == [300, 260]
    assert page.locator(".stack .heat").evaluate(size) == [75, 65]


@pytest.mark.parametrize(
    ("shares", "found", "title", "short", "meaning"),
    [
        pytest.param(
            (0.05, 0.92, 0.03),
            ["NORMAL"],
            "Looks most like NORMAL",
            "NORMAL",
            "that get such a figure, about 92 would be NORMAL. With other pictures",
            id="one-class",
        ),
        pytest.param(
            (0.0002, 0.9996, 0.0002),
            ["NORMAL"],
            "Looks most like NORMAL",
            "NORMAL",
            "nearly all would be NORMAL",
            id="very-sure",
        ),
        pytest.param(
            (0.19, 0.3, 0.51),
            ["PNEUMONIA"],
            "Looks most like PNEUMONIA, with NORMAL not far behind",
            "PNEUMONIA, then NORMAL",
            "NORMAL is below its operating point, but more than half as likely.",
            id="one-class-and-a-close-one",
        ),
        pytest.param(
            (0.15, 0.8, 0.05),
            [],
            "Uncertain: nearest to NORMAL",
            "Uncertain",
            "No class reaches its operating point: the picture is like none of the classes as the "
            "model knows them. Take this as no answer. NORMAL is the likeliest, with 80 %.",
            id="none",
        ),
        pytest.param(
            (0.19, 0.42, 0.39),
            [],
            "Uncertain: nearest to NORMAL and PNEUMONIA",
            "Uncertain",
            "PNEUMONIA is below its operating point, but more than half as likely.",
            id="none-and-a-close-one",
        ),
        pytest.param(
            (0.3, 0.1, 0.6),
            ["COVID", "PNEUMONIA"],
            "Not clear-cut: PNEUMONIA or COVID",
            "PNEUMONIA or COVID",
            "PNEUMONIA is the likeliest, with 60 %. "
            "COVID reaches its operating point, too, and cannot be excluded.",
            id="two-classes",
        ),
        pytest.param(
            (0.3, 0.65, 0.05),
            ["COVID"],
            "Not clear-cut: NORMAL or COVID",
            "NORMAL or COVID",
            "NORMAL is the likeliest, with 65 %, but below its operating point. "
            "COVID reaches its operating point and cannot be excluded.",
            id="another-class",
        ),
        pytest.param(
            (0.26, 0.4, 0.34),
            ["COVID"],
            "Not clear-cut: NORMAL, PNEUMONIA, or COVID",
            "NORMAL, PNEUMONIA, or COVID",
            "PNEUMONIA is below its operating point, but more than half as likely.",
            id="another-class-and-a-close-one",
        ),
        pytest.param(
            (0.31, 0.38, 0.31),
            ["COVID", "NORMAL", "PNEUMONIA"],
            "Uncertain: NORMAL, COVID, or PNEUMONIA",
            "NORMAL, COVID, or PNEUMONIA",
            "Every class reaches its operating point, so none can be excluded: the answer does not "
            "tell them apart. NORMAL is the likeliest, with 38 %.",
            id="all",
        ),
    ],
)
def test_what_an_answer_means_is_said_in_words(
    shares: tuple[float, ...],
    found: list[str],
    title: str,
    short: str,
    meaning: str,
    open_page: Open,
) -> None:
    page = open_page()
    say_shares(page, shares, found)
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
        spelled = "> 99 %" if share > 0.99 else "< 1 %" if share < 0.01 else f"{100 * share:.0f} %"
        row = page.get_by_role("row", name=name)
        expect(row.get_by_role("rowheader")).to_have_text(name)
        expect(row.get_by_role("cell").first).to_have_text(spelled)
        expect(row.get_by_role("cell").last).to_have_text(f"{100 * point:.0f} %, {side}")


def say_shares(page: Page, shares: tuple[float, ...], found: list[str]) -> None:
    """Let the answers have these probabilities and prediction set."""
    probabilities = dict(zip(CLASSES, shares, strict=True))
    label = max(probabilities, key=lambda name: probabilities[name])
    change_answers(
        page,
        probabilities=probabilities,
        label=label,
        confidence=max(shares),
        prediction_set=found,
        uncertain=found != [label],
    )


def test_the_verdict_is_the_services_own_whatever_the_operating_points_are(
    open_page: Open,
) -> None:
    page = open_page()
    say_shares(page, (0.6, 0.3, 0.1), ["COVID", "NORMAL"])
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text("Not clear-cut: COVID or NORMAL")
    expect(page.locator(".bars .likeliest .tick")).to_have_attribute("style", "left: 20%;")


def test_a_figure_just_below_its_operating_point_is_told_from_it(open_page: Open) -> None:
    page = open_page()
    say_shares(page, (0.196, 0.302, 0.502), ["PNEUMONIA"])
    choose(page, file_of(PICTURE))
    cells = page.locator(".bars td:last-child .unseen")
    expect(cells).to_have_text(
        ["20 %, just not reached", "90 %, not reached", "50 %, just reached"]
    )


@pytest.mark.parametrize(
    ("points", "seen", "unseen"),
    [
        pytest.param(
            {"COVID": 0.2, "NORMAL": 0.3, "PNEUMONIA": 0.4},
            "when the model was calibrated, about 95 of 100 pictures of the class reached it",
            "50 %",
            id="all-fitted",
        ),
        pytest.param({}, "50 % where none was fitted", "calibrated", id="none-fitted"),
    ],
)
def test_an_operating_point_is_explained_where_it_is_shown(
    points: dict[str, float], seen: str, unseen: str, open_page: Open
) -> None:
    page = open_page()
    change_contract(page, operating_points=points)
    choose(page, file_of(PICTURE))
    answered(page)
    key = page.locator(".key")
    expect(key).to_contain_text("A class that reaches it cannot be excluded.")
    words = " ".join(key.inner_text().split())
    assert seen in words
    assert unseen not in words


@pytest.mark.parametrize(
    ("ground", "words"),
    [
        pytest.param(
            {"split": "train and val", "pictures": 2000, "sources_left_out": ["city", "rural"],
             "coverage_asked": 0.95, "coverage_found": 0.934},
            "They were fitted on hospitals that the network was not shown (city, rural). "
            "There 93 of 100 sets held the true class.",
            id="sources left out",
        ),
        pytest.param(
            {"split": "val", "pictures": 528, "sources_left_out": [],
             "coverage_asked": 0.95, "coverage_found": None},
            "They were fitted on 528 pictures of hospitals that the network knows: "
            "at another expect less.",
            id="val",
        ),
        pytest.param(
            {"split": "a hospital's own sample", "pictures": 80, "sources_left_out": [],
             "coverage_asked": 0.95, "coverage_found": 0.95},
            "They were fitted on 80 pictures of a hospital's own sample. "
            "There 95 of 100 sets held the true class.",
            id="own",
        ),
        pytest.param(None, "", id="not said"),
    ],
)  # fmt: skip
def test_which_hospitals_the_points_were_fitted_on_is_said(
    ground: dict[str, object] | None, words: str, open_page: Open
) -> None:
    page = open_page()
    change_contract(page, operating_points={"COVID": 0.2}, calibrated_on=ground)
    choose(page, file_of(PICTURE))
    answered(page)
    expect(page.locator(".ground")).to_have_text(words)


def test_which_pictures_the_model_was_judged_on_is_said(open_page: Open) -> None:
    page = open_page()
    counts = {"train": {"COVID": 9}, "test": {"COVID": 800, "NORMAL": 1200}}
    change_contract(
        page,
        dataset={"fingerprint": "0", "counts": counts},
        metrics={
            "unseen/far/COVID": {"value": 0.914, "low": 0.9, "high": 0.93},
            "unseen/farther/NORMAL": {"value": 0.5, "low": 0.4, "high": 0.6},
            "accuracy": {"value": 0.817, "low": 0.8, "high": 0.83},
        },
    )
    choose(page, file_of(PICTURE))
    expect(page.locator(".judged")).to_have_text(
        "It was judged on 2,000 pictures set apart from its training data: "
        "800 of COVID and 1,200 of NORMAL. It was right on 82 % of them. At hospitals that it "
        "never saw it recognised 91 % of far's COVID and 50 % of farther's NORMAL."
    )


@pytest.mark.parametrize(
    "dataset", [None, {"counts": {}}, {"counts": {"train": {"COVID": 9}}}], ids=str
)
def test_a_model_that_does_not_say_what_it_was_judged_on_is_said_not_to(
    dataset: dict[str, object] | None, open_page: Open
) -> None:
    page = open_page()
    change_contract(page, dataset=dataset, metrics={})
    choose(page, file_of(PICTURE))
    expect(page.locator(".judged")).to_have_text(
        "The model's file does not say which pictures it was judged on."
    )


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


def test_the_verdict_does_not_wait_for_the_operating_points(open_page: Open) -> None:
    page = open_page()
    page.route("**/model", lambda route: route.fulfill(status=503, json={}))
    page.reload()
    say_shares(page, (0.3, 0.1, 0.6), ["COVID", "PNEUMONIA"])
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text("Not clear-cut: PNEUMONIA or COVID")
    expect(page.locator(".bars .tick")).to_have_count(0)
    expect(page.locator(".judged")).to_be_empty()
    page.unroute("**/model")
    page.clock.fast_forward(10_001)
    expect(page.locator(".bars .tick")).to_have_count(3)
    expect(page.locator(HEADLINE)).to_have_text("Not clear-cut: PNEUMONIA or COVID")
    expect(page.locator(".judged")).not_to_be_empty()


@pytest.mark.parametrize(
    ("shares", "found", "headline"),
    [
        pytest.param(
            (0.9, 0.2, 0.8), ["COVID", "PNEUMONIA"], "Looks like COVID and PNEUMONIA", id="two"
        ),
        pytest.param((0.1, 0.8, 0.3), ["NORMAL"], "Looks like NORMAL", id="one"),
        pytest.param(
            (0.1, 0.4, 0.3), [], "Uncertain: no class reaches its operating point", id="none"
        ),
    ],
)
def test_of_a_model_of_several_labels_each_is_said_by_itself(
    shares: tuple[float, ...], found: list[str], headline: str, open_page: Open
) -> None:
    page = open_page()
    label = CLASSES[shares.index(max(shares))]
    change_answers(
        page,
        probabilities=dict(zip(CLASSES, shares, strict=True)),
        label=label,
        confidence=max(shares),
        prediction_set=found,
        uncertain=not found,
        model={"name": "m", "sha256": "0" * 64, "calibrated": True, "multi_label": True},
    )
    choose(page, file_of(PICTURE))
    expect(page.locator(HEADLINE)).to_have_text(headline)
    expect(page.locator("#news")).to_contain_text(
        "looks for each class by itself" if found else "None of the classes is found"
    )
