"""The card's front matter, as the Hugging Face Hub reads it: YAML, tags and figures in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from training.report.document import spell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.xray.checkpoint import Checkpoint
    from training.evaluation.evaluate import Evaluation
    from training.evaluation.examine import Examination

LICENSE: Final = "apache-2.0"
"""As the Hub calls the licence of this project."""
_TYPES: Final = {"accuracy": "accuracy", "macro_f1": "f1", "macro_auroc": "roc_auc"}
"""A headline figure -> the name of the metric on the Hub; the others have none."""
_HEAD: Final = f"""\
license: {LICENSE}
library_name: keras
pipeline_tag: image-classification
tags:
- chest-x-ray
- radiography
- medical-imaging
- image-classification
- mobilenet
- keras
metrics:
- accuracy
- f1
- roc_auc
- recall
"""


def front_matter(checkpoint: Checkpoint, examination: Examination) -> str:
    """The lines between `---` and `---`, both among them.

    `model-index` has the split that was judged, and the hospitals never seen, where there are any.
    """
    dataset = checkpoint.contract.dataset
    fingerprint = dataset.fingerprint if dataset else "unknown"
    results = [
        *_result(examination.evaluation, fingerprint),
        *(_result(examination.unseen, fingerprint) if examination.unseen else ()),
    ]
    index = ["model-index:", f"- name: {json.dumps(checkpoint.name)}", "  results:", *results]
    return "---\n" + _HEAD + "\n".join(index) + "\n---\n"


def _result(evaluation: Evaluation, fingerprint: str) -> Iterator[str]:
    yield from (
        "  - task:",
        "      type: image-classification",
        "    dataset:",
        f"      name: {json.dumps(f'Chest X-rays, {evaluation.split}')}",
        f"      type: {json.dumps(f'fingerprint-{fingerprint[:16]}')}",
        f"      split: {evaluation.split}",
        "    metrics:",
    )
    for name, figure in evaluation.headline.items():
        if name in _TYPES:
            yield from _metric(_TYPES[name], figure.value, spell(name))
    for source, classes in evaluation.by_source_and_class.items():
        for label, figures in classes.items():
            yield from _metric("recall", figures.recall.value, f"recall of {source} / {label}")


def _metric(kind: str, value: float, name: str) -> tuple[str, ...]:
    return (
        f"    - type: {kind}",
        f"      value: {value:.4f}",
        f"      name: {json.dumps(name, ensure_ascii=True)}",
    )
