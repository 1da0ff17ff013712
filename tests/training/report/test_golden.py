"""Card, page and terminal, byte for byte as they were when a person last read them.

Where a change to them is meant: `CXR_RENEW_GOLDEN=1 pytest THIS_FILE`, then read the difference.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from rich.console import Console

from app.xray.contract import ModelContract
from tests.training.report import made_up
from training.report.card import render_card
from training.report.page import write_report
from training.report.terminal import print_audit, print_examination, print_trials
from training.report.words.comparison import compare

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parent / "golden"
# Looked at here, for tests run without the settings of whoever starts them.
RENEW = bool(os.environ.get("CXR_RENEW_GOLDEN"))
WIDTH = 100


@pytest.fixture(autouse=True)
def pictures_as_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure is told by its words and a photograph by its pixels.

    What a file of either is to the last bit differs with the versions of Matplotlib and libjpeg.
    """

    def save_figure(figure: Figure, file: Any, **_: Any) -> None:
        words = sorted(found.get_text() for found in figure.findobj(Text))
        file.write(hashlib.sha256("\n".join(words).encode()).digest()[:9])

    def save_image(image: Image.Image, file: Any, *_: Any, **__: Any) -> None:
        file.write(hashlib.sha256(image.tobytes()).digest()[:9])

    monkeypatch.setattr(Figure, "savefig", save_figure)
    monkeypatch.setattr(Image.Image, "save", save_image)


def card() -> str:
    examination = made_up.examine()
    beside = compare(examination, made_up.examine(9, right=4.0), "recipe gentle")
    return render_card(
        made_up.checkpoint(made_up.CONTRACT), examination, made_up.SETTINGS,
        "## Data\n\nMade up.\n", beside, "ef" * 32,
    )  # fmt: skip


def little_card() -> str:
    bare = ModelContract.recipe_of_2022(made_up.CLASSES)
    contract = bare.model_copy(update={"dataset": made_up.CONTRACT.dataset})
    return render_card(made_up.checkpoint(contract), made_up.examine_little(), made_up.SETTINGS)


def page(folder: Path) -> str:
    write_report(
        folder / "report.html",
        title="best_model",
        examination=made_up.examine(),
        facts={"checkpoint": "SHA-256 cd"},
        audit=made_up.find_leaks(),
        history=made_up.HISTORY,
        mistakes=made_up.mistakes(),
        example=made_up.PICTURE,
    )
    return (folder / "report.html").read_text(encoding="utf-8")


def little_page(folder: Path) -> str:
    write_report(folder / "report.html", title="best_model", examination=made_up.examine_little())
    return (folder / "report.html").read_text(encoding="utf-8")


def printed(show: Callable[[Console], None]) -> str:
    """What a terminal of 100 columns is sent, colours too."""
    file = io.StringIO()
    show(
        Console(
            file=file, width=WIDTH, force_terminal=True, color_system="standard", _environ={},
            legacy_windows=False,
        )
    )  # fmt: skip
    return file.getvalue()


def golden(name: str, text: str) -> None:
    """Hold `text` against the file of that name."""
    path = GOLDEN / name
    if RENEW:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_card_is_as_it_was() -> None:
    golden("card.md", card())


def test_the_card_of_a_bare_checkpoint_is_as_it_was() -> None:
    golden("card-little.md", little_card())


def test_the_page_is_as_it_was(tmp_path: Path) -> None:
    golden("page.html", page(tmp_path))


def test_the_page_of_a_bare_checkpoint_is_as_it_was(tmp_path: Path) -> None:
    golden("page-little.html", little_page(tmp_path))


def test_the_terminal_is_sent_what_it_was() -> None:
    def show(console: Console) -> None:
        print_examination(made_up.examine(), console)
        print_examination(made_up.examine_little(), console)

    golden("examination.txt", printed(show))


def test_an_audit_and_trials_are_printed_as_they_were() -> None:
    def show(console: Console) -> None:
        print_audit(made_up.find_leaks(), console)
        print_trials(made_up.TRIALS, console)

    golden("audit-and-trials.txt", printed(show))
