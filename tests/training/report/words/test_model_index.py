from __future__ import annotations

import yaml

from tests.training.report import made_up
from training.report.words.model_index import front_matter


def test_the_hub_is_told_the_figures_of_test_and_of_hospitals_never_seen() -> None:
    examination = made_up.examine()
    text = front_matter(made_up.checkpoint(made_up.CONTRACT), examination)
    begin, matter, end = text.split("---\n")
    assert begin == end == ""
    told = yaml.safe_load(matter)
    assert told["license"] == "apache-2.0"
    assert {"accuracy", "f1", "roc_auc"} <= set(told["metrics"])
    (index,) = told["model-index"]
    assert index["name"] == "best_model"
    test, unseen = index["results"]
    assert (test["dataset"]["split"], unseen["dataset"]["split"]) == ("test", "unseen")
    figures = {metric["name"]: metric["value"] for metric in test["metrics"]}
    accuracy = examination.evaluation.headline["accuracy"].value
    assert abs(figures["accuracy"] - accuracy) < 1e-4
    assert "recall of near [1] / COVID" in figures
    assert "recall of far / COVID" in {metric["name"] for metric in unseen["metrics"]}


def test_names_that_mean_something_to_yaml_are_kept_as_they_are() -> None:
    found = made_up.evaluate(0, sources=("a: b", "- #c"))
    bare = made_up.Examination(found, {}, None, {}, None)
    matter = front_matter(made_up.checkpoint(made_up.CONTRACT), bare).split("---\n")[1]
    (result,) = yaml.safe_load(matter)["model-index"][0]["results"]
    assert any("a: b" in metric["name"] for metric in result["metrics"])
