"""The model card that lies beside a promoted checkpoint: figures first, then what limits them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from app.xray.errors import TrainingError
from training.metrics import PER_CLASS
from training.tables import interval, spell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from app.xray.checkpoint import Checkpoint
    from app.xray.contract import Estimate
    from training.config import FitConfig
    from training.evaluate import Evaluation

_CARD = """\
# Model card: {name}

{what}

**Research software, not a medical device. Do not use it to diagnose, to treat, or to decide
anything about a patient.**

## Figures

On the {total} pictures of the test split, which neither training nor the choice of the epoch
saw. Intervals are 95 % bootstrap intervals (1,000 resamples of the pictures, percentiles); they
are too narrow where a patient has several pictures, since patients are not resampled.

{headline}

Per class:

{classes}

Per source, which says more about a new hospital than the figure over all:

{sources}

These tables come from

```sh
python -m training evaluate --data DIR --model models/{name}.h5
```

## Limits

{limits}{notes}
## How it was made

```sh
{command}
```

{settings}

Pictures, fingerprint `{fingerprint}`:

{counts}

{contract}

Checkpoint: `{name}.h5`, SHA-256 `{sha256}`.
"""

_UNCALIBRATED = """\
- **Uncalibrated.** Its probabilities order pictures well, but a confidence of 0.9 does not mean
  right nine times in ten: see the expected calibration error (ECE) above. No operating points
  were fitted; the service calls an answer uncertain where no class reaches one half.
"""
_UNGATED = """\
- **It answers anything.** No gate tells a chest X-ray from another picture yet: a photograph
  gets three probabilities too.
"""
_GENERAL = """\
- **Its classes are all it knows.** Every other finding is pressed into one of them.
- **Other hospitals.** What it learned may be a scanner, a film border or an age group rather than
  a disease; expect worse where training saw no pictures (DeGrave et al. 2021, Nature Machine
  Intelligence 3).
"""


def render_card(
    checkpoint: Checkpoint, evaluation: Evaluation, settings: FitConfig, notes: str = ""
) -> str:
    """The card in Markdown.

    `evaluation` is that of the test split, `settings` those of the run's `config.json`, `notes`
    Markdown on the data and what it cannot teach.

    Raises:
        TrainingError: the checkpoint's contract does not describe its data.
    """
    contract = checkpoint.contract
    if contract.dataset is None:
        raise TrainingError(f"{checkpoint.path}: a card needs a contract that describes its data")
    counts = contract.dataset.counts
    return _CARD.format(
        name=checkpoint.name,
        what=_wrap(
            "MobileNet v1 (ImageNet weights, max pooling, a dense head), fine-tuned to tell "
            f"{', '.join(contract.classes)} on frontal chest X-rays."
        ),
        total=len(evaluation.files),
        headline=_table(
            ("figure", "value", "95 % interval"),
            (
                (spell(name), f"{figure.value:.3f}", interval(figure))
                for name, figure in evaluation.headline.items()
            ),
        ),
        classes=_per_class(evaluation),
        sources=_per_group(evaluation),
        limits=(
            ("" if contract.is_calibrated else _UNCALIBRATED)
            + ("" if contract.ood else _UNGATED)
            + _GENERAL
        ),
        notes=f"\n{notes.strip()}\n" if notes else "",
        command=_command(settings),
        settings=_settings(settings),
        fingerprint=contract.dataset.fingerprint,
        counts=_table(
            ("split", *contract.classes),
            ((split, *map(str, found.values())) for split, found in counts.items()),
        ),
        contract=_wrap(
            f"Input {' x '.join(map(str, contract.input_size))} RGB, {contract.interpolation} "
            f"interpolation, pixels x {contract.scale:.6g} + {contract.offset:g}; outputs "
            f"{', '.join(contract.classes)}. Trained at {contract.trained_at} with "
            f"{', '.join(f'{name} {version}' for name, version in contract.versions.items())}. "
            "The same seed, data and machine give the same numbers on CPU."
        ),
        sha256=checkpoint.sha256,
    )


def _per_class(evaluation: Evaluation) -> str:
    return _table(
        ("class", "pictures", *PER_CLASS),
        (
            (
                name,
                str(evaluation.count(name)),
                *(f"{figure.value:.3f} ({interval(figure)})" for figure in found.values()),
            )
            for name, found in evaluation.by_class.items()
        ),
    )


def _per_group(evaluation: Evaluation) -> str:
    if not evaluation.sources:
        return "The data came without a manifest that names its sources."
    groups: dict[str, tuple[int, Estimate]] = {
        **evaluation.accuracy_by_source,
        **evaluation.recall_by_source_and_class,
    }
    return _table(
        ("pictures of", "pictures", "recognised", "95 % interval"),
        (
            (name, str(count), f"{figure.value:.3f}", interval(figure))
            for name, (count, figure) in groups.items()
        ),
    )


def _command(settings: FitConfig) -> str:
    weights = settings.weights if isinstance(settings.weights, str) else "FILE"
    return (
        f"python -m training fit --data DIR --weights {weights} --epochs {settings.epochs} \\\n"
        f"    --batch-size {settings.batch_size} --learning-rate {settings.learning_rate:g} "
        f"--seed {settings.seed}"
    )


def _settings(settings: FitConfig) -> str:
    augment = settings.augment
    return _wrap(
        f"Adam, categorical cross-entropy, the epoch with the best validation accuracy; the rate "
        f"falls by a factor of {1 / settings.plateau_factor:g} after {settings.plateau_patience} "
        f"epochs without a better validation loss. Each training picture is turned by up to "
        f"{augment.rotation_degrees:g} degrees, shifted by up to {augment.shift:.0%}, zoomed by up "
        f"to {augment.zoom:.0%}, and changed in brightness by up to {augment.brightness:.0%} and "
        f"in contrast by up to {augment.contrast:.0%}; never flipped."
    )


def _wrap(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
