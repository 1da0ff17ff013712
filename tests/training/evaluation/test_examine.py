from __future__ import annotations

import json
from typing import TYPE_CHECKING

import keras
import numpy as np
from PIL import Image

import training.evaluation.examine
from app.xray.contract import ModelContract
from benchmarks.rig.corpus.drawing import write_dataset
from tests.networks import build_tiny
from training.data.dataset import load_dataset
from training.evaluation.calibrate import calibrate
from training.evaluation.examine import BORDER, LUNGS, Examination, examine
from training.network.runner import Runner
from training.report.document import Table
from training.report.words.examination import sections

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CONTRACT = ModelContract.recipe_of_2022()


def run(tmp_path: Path, *, gated: bool = True, sources: bool = True) -> Examination:
    """A network drawn at random, examined on drawn pictures of two sources."""
    data = write_dataset(tmp_path / "data", counts={"train": 4, "val": 4, "test": 4})
    splits = load_dataset(data, CONTRACT).splits
    keras.utils.set_random_seed(3)
    runner = Runner(build_tiny(keras), CONTRACT)
    train, val, test = (runner.run(splits[name].pixels) for name in ("train", "val", "test"))
    contract = calibrate(CONTRACT, splits["val"].labels, val, train) if gated else CONTRACT
    named = {
        file: ("odd" if file[-5] in "13" else "even")
        for split in splits.values()
        for file in split.files
    }
    return examine(
        runner, contract, (splits["train"], train), (splits["test"], test), named if sources else {}
    )


def test_an_examination_has_a_section_for_each_thing_that_it_found(tmp_path: Path) -> None:
    found = run(tmp_path)
    assert [section.key for section in sections(found)] == [
        "figures", "sources", "shortcuts", "changes", "calibration", "gate",
    ]  # fmt: skip
    for section in sections(found):
        for part in section.parts:
            if isinstance(part, Table):
                assert {len(row) for row in part.rows} == {len(part.head)}
                assert all(isinstance(cell, str) for row in part.rows for cell in row)
            else:
                assert part.count("**") % 2 == 0


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
    monkeypatch.setattr(training.evaluation.examine, "strangers", lambda: kinds)
    gate = run(tmp_path).gate
    assert gate is not None
    assert (gate.xrays.pictures, gate.strangers["x-rays"].pictures) == (12, 2)
    for found in (gate.xrays, *gate.strangers.values(), *gate.hard_cases.values()):
        assert 0 <= found.refused <= found.beyond <= 1
    assert set(gate.hard_cases) >= {"upside down", "inverted"}


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
