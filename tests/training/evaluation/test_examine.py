from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import keras
import numpy as np
from PIL import Image

import training.evaluation.gate.figures
from app.xray.contract import ModelContract
from benchmarks.rig.corpus.drawing import add_unseen, write_dataset
from tests.networks import build_tiny, tiny_gate
from tests.training.report import made_up
from training.data.dataset import load_dataset
from training.data.folder import splits_in
from training.data.manifest import read_sources
from training.evaluation.calibrate import calibrate_answers
from training.evaluation.examine import BORDER, LUNGS, Examination, examine
from training.evaluation.gate.fit import Films, fit_gate
from training.evaluation.sample import Sample
from training.network.runner import Runner
from training.report.document import Table
from training.report.words.examination import sections
from training.report.words.unseen import describe_unseen

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CONTRACT = ModelContract.recipe_of_2022()


def flat(count: int) -> np.ndarray:
    """Pictures without anything, each of another gray."""
    levels = np.linspace(0, 255, count).astype(np.uint8)
    return np.tile(levels[:, None, None, None], (1, 224, 224, 3))


def run(
    tmp_path: Path,
    *,
    gated: bool = True,
    by_outlines: bool = True,
    sources: bool = True,
    unseen: bool = False,
    split: str = "test",
) -> Examination:
    """A network drawn at random, examined on drawn pictures of two sources."""
    data = write_dataset(tmp_path / "data", counts={"train": 4, "val": 4, "test": 4})
    named = {}
    if unseen:
        named = read_sources(add_unseen(data, count=3))
    splits = load_dataset(data, CONTRACT, splits=splits_in(data)).splits
    keras.utils.set_random_seed(3)
    runner = Runner(build_tiny(keras), CONTRACT)
    answers = {name: (found, runner.run(found.pixels)) for name, found in splits.items()}
    (train_split, train), (val_split, val) = answers["train"], answers["val"]
    contract = CONTRACT
    if gated:
        films = (Films.of(split, {}, contract) for split in (train_split, val_split))
        gate = fit_gate(*films, {"flat": flat(5)}) if by_outlines else tiny_gate(threshold=1.0)
        sample = Sample.of_split(val_split.labels, val.raw)
        contract = calibrate_answers(contract, sample)[0].model_copy(update={"ood": gate})
    named |= {
        file: ("odd" if file[-5] in "13" else "even")
        for name, found in splits.items()
        for file in found.files
        if name != "unseen"
    }
    return examine(
        runner,
        contract,
        (train_split, train),
        answers[split],
        named if sources else {},
        answers.get("unseen") if split != "unseen" else None,
    )


def test_an_examination_has_a_section_for_each_thing_that_it_found(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert [section.key for section in sections(found)] == [
        "figures", "sources", "shortcuts", "changes", "calibration", "gate",
    ]  # fmt: skip
    for section in sections(found):
        for block in section.blocks:
            if isinstance(block, Table):
                assert {len(row) for row in block.rows} == {len(block.head)}
                assert all(isinstance(cell, str) for row in block.rows for cell in row)
            elif isinstance(block, str):
                assert block.count("**") % 2 == 0


def test_the_same_pictures_are_judged_without_lungs_and_with_nothing_else(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert set(found.masked) == {LUNGS, BORDER}
    for masked in found.masked.values():
        assert masked.files == found.evaluation.files
        assert not np.array_equal(masked.raw, found.evaluation.raw)


def test_without_sources_or_a_gate_the_rest_is_told(tmp_path: Path) -> None:
    found = run(tmp_path, gated=False, sources=False)
    assert (found.probe, found.gate) == (None, None)
    keys = [section.key for section in sections(found)]
    assert keys == ["figures", "sources", "shortcuts", "changes", "calibration"]
    words = str(sections(found))
    assert "without a manifest" in words
    assert "Not calibrated" in words


def test_the_gate_is_judged_on_x_rays_other_things_and_x_rays_gone_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x_ray = Image.open(write_dataset(tmp_path / "more") / "val/COVID/covid-0.png")
    negative = x_ray.point(lambda level: 255 - level)
    kinds = {"x-rays": [x_ray] * 2, "negatives": [negative], "charts": [Image.new("L", (9, 9), 90)]}
    monkeypatch.setattr(training.evaluation.gate.figures, "strangers", lambda: kinds)
    gate = run(tmp_path, by_outlines=False).gate
    assert gate is not None
    assert (gate.xrays.pictures, gate.strangers["x-rays"].pictures) == (12, 2)
    for found in (gate.xrays, *gate.strangers.values(), *gate.hard_cases.values()):
        assert 0 <= found.refused <= found.beyond <= 1
    assert set(gate.hard_cases) >= {"upside down", "inverted"}
    assert set(gate.bordered) == {"black", "white"}


def test_a_gate_by_outlines_tells_itself_what_it_refused_when_it_was_fitted(
    tmp_path: Path,
) -> None:
    gate = run(tmp_path).gate
    assert gate is not None
    assert set(gate.strangers) == {"flat"}
    assert gate.strangers["flat"].pictures == 5
    assert gate.strangers["flat"].refused == 1.0
    assert {found.refused for found in gate.bordered.values()} == {gate.xrays.refused}


def test_all_figures_are_written_as_json(tmp_path: Path) -> None:
    found = run(tmp_path)
    found.write(tmp_path)
    document = json.loads((tmp_path / "examination.json").read_text())
    assert document["figures"]["pictures"] == 12
    assert np.array(document["figures"]["confusion"]).sum() == 12
    assert document["figures"]["by_source"]["odd"]["pictures"] == 6
    assert set(document["figures"]["calibration"]) == {"before", "after"}
    assert set(document["figures"]["operating_points"]) == set(CONTRACT.classes)
    assert set(document["masked"]) == {LUNGS, BORDER}
    assert document["gate"]["xrays"]["pictures"] == 12
    assert document["source_probe"]["overall"]["sources"] == ["even", "odd"]
    assert all(0 <= found["same"]["value"] <= 1 for found in document["agreement"].values())
    assert (tmp_path / "predictions.csv").exists()


def test_unseen_hospitals_have_a_section_by_source_and_class(tmp_path: Path) -> None:
    found = run(tmp_path, unseen=True)
    by_key = {section.key: section for section in sections(found)}
    assert list(by_key)[:3] == ["unseen", "figures", "sources"]
    (table,) = (part for part in by_key["unseen"].blocks if isinstance(part, Table))
    assert [row[:2] for row in table.rows] == [("far / COVID", "3"), ("farther / NORMAL", "3")]
    assert "No picture here is of PNEUMONIA." in str(by_key["unseen"].blocks)
    assert found.gate is not None
    assert found.gate.unseen is not None
    assert found.gate.unseen.pictures == 6
    assert found.evaluation.files == run(tmp_path / "without").evaluation.files


def test_what_a_contract_carries_begins_with_hospitals_never_seen(tmp_path: Path) -> None:
    found = run(tmp_path, unseen=True)
    assert list(found.metrics)[:3] == ["unseen/far/COVID", "unseen/farther/NORMAL", "accuracy"]
    known = replace(found, known_sources=("even", "far", "odd"))
    assert list(known.metrics)[:2] == ["unseen/farther/NORMAL", "accuracy"]


def test_the_figures_on_unseen_are_counts_of_what_was_answered(tmp_path: Path) -> None:
    found = run(tmp_path, unseen=True, sources=False)
    found.write(tmp_path)
    unseen = json.loads((tmp_path / "examination.json").read_text())["unseen"]
    assert unseen["pictures"] == 6
    assert set(unseen["by_source_and_class"]) == {"all"}
    for name, figures in unseen["by_source_and_class"]["all"].items():
        assert sum(figures["answers"].values()) == figures["pictures"] == 3
        right = figures["answers"].get(name, 0) / 3
        assert figures["recall"]["low"] <= figures["recall"]["value"] == right
    assert set(unseen["headline"]) == {"accuracy", "ece"}


def test_of_a_split_that_lacks_a_class_only_what_can_be_told_is(tmp_path: Path) -> None:
    found = run(tmp_path, unseen=True, split="unseen")
    assert [section.key for section in sections(found)] == ["unseen", "changes", "gate"]
    assert (found.unseen, found.probe) == (None, None)
    found.write(tmp_path)
    text = (tmp_path / "examination.json").read_text()
    assert "NaN" not in text
    figures = json.loads(text)["figures"]
    assert set(figures["by_class"]) == {"COVID", "NORMAL"}
    assert set(figures["by_class"]["COVID"]) == {"recall"}


def test_a_source_that_training_has_too_is_not_called_unseen() -> None:
    evaluation = made_up.evaluate(0, split="unseen", classes=(0, 1), sources=("far", "near"))
    *_, limits = describe_unseen(evaluation, ("near", "nearer")).blocks
    assert "**Not unseen:** training has other pictures of near." in limits
    *_, limits = describe_unseen(evaluation, ("nearer",)).blocks
    assert "Not unseen" not in limits
