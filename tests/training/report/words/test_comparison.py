from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.xray.contract import ModelContract
from app.xray.errors import TrainingError
from training.evaluation.evaluate import Evaluation
from training.evaluation.examine import BORDER, LUNGS, Examination
from training.report.document import Table
from training.report.words.comparison import compare

LABELS = np.arange(90) % 3


def examination(right: int, right_without_lungs: int = 30) -> Examination:
    """So many of 90 pictures answered rightly, as they are and with lungs blacked out."""

    def judged(right: int) -> Evaluation:
        answers = np.where(np.arange(90) < right, LABELS, (LABELS + 1) % 3)
        return Evaluation(
            contract=ModelContract.recipe_of_2022(),
            files=tuple(f"test/{index}.png" for index in range(90)),
            labels=LABELS,
            raw=np.eye(3)[answers] * 0.7 + 0.1,
            sources=("clinic",) * 45 + ("hospital",) * 45,
        )

    masked = {LUNGS: judged(right_without_lungs), BORDER: judged(30)}
    return Examination(judged(right), masked, None, {}, None)


def verdicts(ours: Examination, theirs: Examination) -> dict[str, str]:
    section = compare(ours, theirs, "the other")
    (table,) = (part for part in section.blocks if isinstance(part, Table))
    return {row[0]: row[-1] for row in table.rows}


def test_what_chance_does_not_explain_is_better_or_worse() -> None:
    found = verdicts(examination(80), examination(40))
    assert found["accuracy"] == "better"
    assert found["recall of NORMAL"] == "better"
    assert found["accuracy on hospital"] == "better"
    assert found["recall of hospital / COVID"] == "better"
    assert verdicts(examination(40), examination(80))["accuracy"] == "worse"


def test_what_chance_explains_is_alike() -> None:
    found = verdicts(examination(80), examination(80))
    assert set(found.values()) == {"alike"}


def test_without_lungs_less_is_better() -> None:
    found = verdicts(examination(80, right_without_lungs=20), examination(80, 60))
    assert found[f"accuracy, {LUNGS}"] == "better"
    assert found[f"accuracy, {BORDER}"] == "alike"


def test_it_is_said_in_words_too() -> None:
    section = compare(examination(80), examination(40), "the other")
    words = " ".join(part for part in section.blocks if isinstance(part, str))
    assert "better in:** accuracy" in words
    assert "worse in:** nothing." in words


def test_two_that_saw_other_pictures_are_not_compared() -> None:
    other = examination(40)
    files = ("test/else.png", *other.evaluation.files[1:])
    with pytest.raises(TrainingError, match="the other: was not judged on the same pictures"):
        compare(
            examination(80),
            replace(other, evaluation=replace(other.evaluation, files=files)),
            "the other",
        )


def test_of_a_source_that_training_knows_nothing_is_called_never_seen() -> None:
    both = [
        replace(each, unseen=each.evaluation, known_sources=("hospital",))
        for each in (examination(80), examination(40))
    ]
    never_seen = [name for name in verdicts(*both) if name.endswith("never seen")]
    assert never_seen == [
        f"recall of clinic / {name}, never seen" for name in ("COVID", "NORMAL", "PNEUMONIA")
    ]
