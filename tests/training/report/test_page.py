from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import training.report.page
from app.xray.contract import Estimate, ModelContract
from app.xray.errors import TrainingError
from benchmarks.rig.corpus.drawing import write_dataset
from training.data.audit.audit import audit
from training.evaluation.evaluate import Evaluation
from training.evaluation.examine import BORDER, LUNGS, Examination
from training.evaluation.gate.figures import GateFigures, Refused
from training.evaluation.mistakes import Mistake
from training.evaluation.shortcuts import Agreement
from training.report.document import Pictures, Table
from training.report.page import numeric_columns, write_report
from training.report.pictures.data_uri import svg_uri
from training.report.pictures.plots import draw_curves
from training.report.words.audit import describe_leaks, describe_oddities
from training.report.words.examination import sections

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 30
HISTORY = {"loss": [1.0, 0.5], "val_loss": [1.0, 0.7], "accuracy": [0.5, 0.8]} | {
    "val_accuracy": [0.5, 0.6]
}
HOSTILE = '<img src="http://evil.example/x" onerror=alert(1)>'


class Page(HTMLParser):
    """What a browser would make of a page: its tags, ids and words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def chapters(self) -> list[str | None]:
        return [attributes["id"] for attributes in self.all("section")]


@pytest.fixture
def evaluation() -> Evaluation:
    return evaluate_at_random(("COVID", "NORMAL", "PNEUMONIA"), ("here", "there"))


@pytest.fixture
def examination(evaluation: Evaluation) -> Examination:
    return examine_nothing(evaluation)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that are not about figures, which take a second to draw."""
    monkeypatch.setattr(
        training.report.page, "svg_uri", lambda _figure: "data:image/svg+xml;base64,"
    )


def evaluate_at_random(classes: tuple[str, ...], sources: tuple[str, ...]) -> Evaluation:
    rng = np.random.default_rng(0)
    contract = ModelContract.recipe_of_2022(classes).model_copy(
        update={"temperature": 1.3, "operating_points": dict.fromkeys(classes, 0.4)}
    )
    return Evaluation(
        contract,
        tuple(f"test/{index}.png" for index in range(COUNT)),
        np.arange(COUNT) % len(classes),
        rng.dirichlet(np.ones(len(classes)), COUNT),
        tuple(sources[index * len(sources) // COUNT] for index in range(COUNT)) if sources else (),
    )


def examine_nothing(evaluation: Evaluation) -> Examination:
    """An examination whose masks and changes changed nothing."""
    refused = Refused(COUNT, 0.1, 0.05)
    return Examination(
        evaluation,
        {LUNGS: evaluation, BORDER: evaluation},
        None,
        {"moved": Agreement(COUNT, Estimate(value=0.9, low=0.8, high=1.0), 0.1)},
        GateFigures(1.2, refused, {"noise": refused}, {"inverted": refused}, {}, {}),
    )


def mistake(**changes: Any) -> Mistake:
    picture = np.full((64, 64, 3), 90, np.uint8)
    found = Mistake("test/NORMAL/a.png", "here", "NORMAL", "COVID", 0.987, 0.012, picture, picture)
    return replace(found, **changes)


def write(path: Path, examination: Examination, **options: Any) -> Page:
    write_report(path / "report.html", title="A run", examination=examination, **options)
    return Page((path / "report.html").read_text(encoding="utf-8"))


def test_the_report_holds_every_section_and_what_else_there_is(
    examination: Examination, tmp_path: Path
) -> None:
    data = write_dataset(tmp_path / "data")
    page = write(
        tmp_path,
        examination,
        audit=audit(data),
        history=HISTORY,
        mistakes=[mistake()],
        example=mistake().picture,
        facts={"checkpoint": "best_model.h5"},
    )
    said = [section.key for section in sections(examination)]
    assert page.chapters == [*said, "mistakes", "training", "audit"]
    assert [link["href"] for link in page.all("a")] == [f"#{key}" for key in page.chapters]
    assert "not a medical device" in page.words
    assert "checkpoint best_model.h5" in page.words
    for section in sections(examination):
        for block in section.blocks:
            if isinstance(block, Pictures):
                assert block.words in page.words
                continue
            parts = [block] if isinstance(block, str) else [*block.head, *sum(block.rows, ())]
            for words in parts:
                assert " ".join(words.replace("**", "").split()) in page.words
    assert "answered COVID 0.987 truly NORMAL 0.012 here · test/NORMAL/a.png" in page.words
    assert "No leak in 24 pictures" in page.words
    # three of the whole, one a source, three of the masks, two of calibration, a pair, two curves
    assert len(page.all("img")) == 3 + 2 + 3 + 2 + 2 + 2


def test_the_report_needs_nothing_but_itself(examination: Examination, tmp_path: Path) -> None:
    page = write(tmp_path, examination, history=HISTORY, mistakes=[mistake()])
    assert not page.all("script")
    assert not page.all("link")
    for image in page.all("img"):
        assert (image["src"] or "").startswith(("data:image/svg+xml;base64,", "data:image/jpeg;"))
        assert image["alt"]
    text = (tmp_path / "report.html").read_text()
    assert "://" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_what_names_say_is_escaped(tmp_path: Path) -> None:
    evaluation = evaluate_at_random((HOSTILE, "NORMAL"), (HOSTILE + "1", "there"))
    data = write_dataset(tmp_path / "data", classes=("<b>COVID", "NORMAL"))
    broken = data / "val/NORMAL" / b"<i>\xff.png".decode("utf-8", "surrogateescape")
    broken.write_bytes(b"hello")
    page = write(
        tmp_path,
        examine_nothing(evaluation),
        facts={HOSTILE: HOSTILE},
        audit=audit(data),
        mistakes=[mistake(file="test/<b>\udcff.png", source=HOSTILE, truth=HOSTILE)],
    )
    assert page.words.count(HOSTILE) > 5
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert not page.all("b")
    assert not page.all("i")
    assert r"test/<b>\udcff.png" in page.words
    assert r"val/NORMAL/<i>\udcff.png" in page.words


@pytest.mark.usefixtures("quickly")
def test_what_is_of_weight_is_set_in_bold(examination: Examination, tmp_path: Path) -> None:
    write(tmp_path, examination)
    text = (tmp_path / "report.html").read_text()
    assert '<p class="finding"><strong>What follows:</strong> without lungs' in text
    assert "**" not in text


def test_without_sources_gate_calibration_and_the_rest_there_is_a_report_still(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    contract = ModelContract.recipe_of_2022()
    bare = replace(examine_nothing(replace(evaluation, sources=(), contract=contract)), gate=None)
    page = write(tmp_path, bare)
    assert page.chapters == ["figures", "sources", "shortcuts", "changes", "calibration"]
    assert len(page.all("img")) == 3 + 1
    assert "without a manifest of its sources" in page.words


@pytest.mark.usefixtures("quickly")
def test_no_mistake_is_said_so(examination: Examination, tmp_path: Path) -> None:
    assert "No answer was wrong." in write(tmp_path, examination, mistakes=()).words


@pytest.mark.usefixtures("quickly")
def test_a_mistake_without_heat_is_shown_alone(examination: Examination, tmp_path: Path) -> None:
    without = len(write(tmp_path, examination).all("img"))
    page = write(tmp_path, examination, mistakes=[mistake(heat=None, source="")])
    assert len(page.all("img")) == without + 1
    assert "Grad-CAM" not in page.words


@pytest.mark.usefixtures("quickly")
def test_a_leak_stands_at_the_top_of_the_audit_and_of_the_page(
    examination: Examination, tmp_path: Path
) -> None:
    data = write_dataset(tmp_path / "data")
    shutil.copy(data / "test/COVID/covid-0.png", data / "train/COVID/again.png")
    found = audit(data)
    page = write(tmp_path, examination, audit=found)
    assert "data: 1 leak in 25 pictures" in page.words.split("At hospitals that it knows")[0]
    audited = page.words.rsplit("The data", 1)[1]
    assert audited.startswith(" 1 leak in 25 pictures. LEAK: exact duplicate across splits (1)")
    for block in (*describe_leaks(found), *describe_oddities(found)):
        assert (block.title if isinstance(block, Table) else block.words) in audited
    assert "test/COVID/covid-0.png train/COVID/again.png" in audited


def test_the_same_figure_is_the_same_file() -> None:
    first, second = (svg_uri(draw_curves(HISTORY, "loss")) for _ in range(2))
    assert first == second


@pytest.mark.usefixtures("quickly")
def test_a_report_that_cannot_be_written_is_said_so(
    examination: Examination, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"nowhere/report\.html: cannot be written"):
        write(tmp_path / "nowhere", examination)


def test_columns_of_numbers_are_told_from_words() -> None:
    head = ("first", "number", "interval", "one class", "answers", "words", "size")
    rows = (
        ("1", "1,234", "0.9 (0.8 to 1.0)", "one class", "2 COVID", "a", "96 x 80"),
        ("2", "", "0.8 to 1.0", "0.5", "3 COVID", "", "5.0%"),
    )
    assert numeric_columns(Table(head, rows)) == {1, 2, 3, 6}


@pytest.mark.usefixtures("quickly")
def test_the_page_is_well_formed(examination: Examination, tmp_path: Path) -> None:
    write(tmp_path, examination, history=HISTORY, mistakes=[mistake()])
    text = (tmp_path / "report.html").read_text()
    assert text.lstrip().startswith("<!DOCTYPE html>")
    for tag in "table tr td th div section figure p ul li dl strong small".split():
        opened = len(re.findall(rf"<{tag}[ >]", text))
        assert opened == text.count(f"</{tag}>"), tag
