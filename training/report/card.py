"""The model card that lies beside a promoted checkpoint: figures first, then what limits them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from app.xray.contract import spell_input
from app.xray.errors import TrainingError
from training.report.document import Caution, Table
from training.report.words.examination import sections
from training.report.words.model_index import front_matter
from training.report.words.recipe import describe, spell_command, spell_weights

if TYPE_CHECKING:
    from app.xray.checkpoint import Checkpoint
    from training.evaluation.examine import Examination
    from training.recipes.config import FitConfig
    from training.report.document import Block, Section

_CARD = """\
{front}
# Model card: {name}

{what}

**Research software, not a medical device. Do not use it to diagnose, to treat, or to decide
anything about a patient.**

{sections}

All of these come from

```sh
python -m training evaluate --data DIR --model models/{name}.h5 --out REPORT
```

which writes them as a page with pictures, `REPORT/report.html`, too.

## Limits

{limits}{notes}
## How it was made

```sh
{command}
```

{settings}{replaced}

Pictures, fingerprint `{fingerprint}`:

{counts}

{contract}

Checkpoint: `{name}.h5`, SHA-256 `{sha256}`.
"""

_UNCALIBRATED = """\
- **Uncalibrated.** No operating points were fitted either; the service calls an answer uncertain
  where no class reaches one half.
"""
_UNGATED = """\
- **It answers anything.** No gate tells a chest X-ray from another picture: a photograph gets its
  probabilities too.
"""
_REPLACED = (
    "It was not compared with the checkpoint whose place it took (SHA-256 `{}`): it was put there "
    "with `--replace`."
)
_GENERAL = """\
- **Its classes are all it knows.** Every other finding is pressed into one of them.
- **Other hospitals.** What it learned may be a scanner, a film border or an age group rather than
  a disease; expect worse where training saw no pictures (DeGrave et al. 2021, Nature Machine
  Intelligence 3).
- **A heat map is no reason.** It marks what spoke for a class, in a grid as coarse as the last
  feature map; it does not say that a finding is there.
"""


def render_card(
    checkpoint: Checkpoint,
    examination: Examination,
    settings: FitConfig,
    notes: str = "",
    comparison: Section | None = None,
    replaced: str = "",
) -> str:
    """The card in Markdown, with what the Hugging Face Hub reads of one on top, in YAML.

    `examination` is that of the test split, `settings` those of the run's `config.json`, `notes`
    Markdown on the data and what it cannot teach, `comparison` what it is beside another;
    `replaced` is the SHA-256 of the checkpoint whose place it took without being compared with it.

    Raises:
        TrainingError: the checkpoint's contract does not describe its data.
    """
    contract = checkpoint.contract
    if contract.dataset is None:
        raise TrainingError(f"{checkpoint.path}: a card needs a contract that describes its data")
    counts = contract.dataset.counts
    scaled = contract.decode == "scaled"
    decoded = ", of JPEGs decoded no larger than that needs" if scaled else ""
    all_sections = [*sections(examination), *([comparison] if comparison else [])]
    return _CARD.format(
        front=front_matter(checkpoint, examination),
        name=checkpoint.name,
        what=_wrap(
            f"MobileNet v1 ({spell_weights(settings)}, max pooling, a dense head), "
            f"{'trained' if settings.weights == 'none' else 'fine-tuned'} to tell "
            f"{', '.join(contract.classes)} on frontal chest X-rays."
        ),
        sections="\n\n".join(map(_section, all_sections)),
        limits=(
            ("" if contract.is_calibrated else _UNCALIBRATED)
            + ("" if contract.ood else _UNGATED)
            + _GENERAL
        ),
        notes=f"\n{notes.strip()}\n" if notes else "",
        command=spell_command(settings),
        settings=_wrap(describe(settings)),
        replaced="\n\n" + _wrap(_REPLACED.format(replaced)) if replaced else "",
        fingerprint=contract.dataset.fingerprint,
        counts=_table(
            Table(
                ("split", *contract.classes),
                tuple((split, *map(str, found.values())) for split, found in counts.items()),
            )
        ),
        contract=_wrap(
            f"Input: `{spell_input(contract)}`{decoded}. Outputs: {', '.join(contract.classes)}. "
            f"Trained at {contract.trained_at} with "
            f"{', '.join(f'{name} {version}' for name, version in contract.versions.items())}. "
            "The same seed, data and machine give the same numbers on CPU."
        ),
        sha256=checkpoint.sha256,
    )


def _section(section: Section) -> str:
    return "\n\n".join([f"## {section.title}", *filter(None, map(_block, section.blocks))])


def _block(block: Block) -> str:
    """In Markdown; of pictures nothing."""
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Caution):
        return _wrap(block.words)
    return _wrap(block) if isinstance(block, str) else ""


def _wrap(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _table(table: Table) -> str:
    lines = [table.head, ("---",) * len(table.head), *table.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
