"""What a gate refuses: of films, of other things, and of films as they should not come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageOps

from app.xray.gate import OutlineGate, Sight, second_look
from app.xray.preprocess import to_pixels, to_rgb
from training.evaluation.gate.strangers import hard_cases, strangers

if TYPE_CHECKING:
    from app.xray.contract import ModelContract
    from app.xray.gate import Gate, RefusedShare, Verdict
    from app.xray.preprocess.resize import Pixels
    from training.data.dataset import Split
    from training.network.runner import Answers, Runner

HARD_CASES: Final = 100
"""X-rays, spread over the split, of which each kind of hard case is made."""
BORDER: Final = 0.1
"""How wide the borders are that films are given, as a share of the side."""


@dataclass(frozen=True)
class Refused:
    """How many pictures of a kind there were, and the share of them that is refused.

    `beyond` is the share beyond the gate's threshold; refused is what lies there as a negative too.
    """

    pictures: int
    beyond: float
    refused: float


@dataclass(frozen=True)
class GateFigures:
    """What the gate refuses: of the split itself, of other things, of X-rays gone wrong.

    `bordered` are X-rays with a border of `BORDER` of the side, which it should let in, and
    `elsewhere` those of each source of training, for a gate that was fitted without that source.
    `unseen` is of the X-rays of hospitals that no other split has a picture of, None without any.
    """

    threshold: float
    xrays: Refused
    strangers: dict[str, Refused]
    hard_cases: dict[str, Refused]
    bordered: dict[str, Refused]
    elsewhere: dict[str, Refused]
    unseen: Refused | None = None


def judge_gate(
    gate: Gate,
    runner: Runner,
    contract: ModelContract,
    test: tuple[Split, Answers],
    unseen: tuple[Split, Answers] | None,
) -> GateFigures:
    """What `gate` refuses of the split `test` and of `unseen`, and of what is made of the former.

    Of other things a gate by outlines tells itself what it refuses: `fit_gate` found it by gates
    that were fitted without those pictures. Any other gate is shown them here.
    """
    split, answers = test

    def judge(pixels: Pixels, answers: Answers | None = None) -> Refused:
        verdicts = _verdicts(gate, runner, contract, pixels, answers)
        passed = second_look(
            verdicts,
            lambda strange: _verdicts(
                gate, runner, contract, 255 - pixels[strange], as_negatives=True
            ),
        )
        count, beyond = len(pixels), sum(verdict.is_strange for verdict in verdicts)
        return Refused(count, beyond / count, (beyond - len(passed)) / count)

    def judge_each(kinds: dict[str, list[Image.Image]]) -> dict[str, Refused]:
        return {
            kind: judge(np.stack([to_pixels(image, contract) for image in images]))  # type: ignore[arg-type]  # of one type
            for kind, images in kinds.items()
        }

    spread = to_rgb(split.pixels, contract)[:: max(1, len(split) // HARD_CASES)]
    films = [Image.fromarray(picture) for picture in spread]
    told = gate if isinstance(gate, OutlineGate) else None
    return GateFigures(
        threshold=gate.threshold,
        xrays=judge(split.pixels, answers),
        strangers=_as_told(told.refused_strangers) if told else judge_each(strangers()),
        hard_cases=judge_each(hard_cases(films)),
        bordered=judge_each(with_borders(films)),
        elsewhere=_as_told(told.refused_elsewhere) if told else {},
        unseen=judge(unseen[0].pixels, unseen[1]) if unseen else None,
    )


def with_borders(films: list[Image.Image]) -> dict[str, list[Image.Image]]:
    """Each of `films`, mode RGB, with a black border around it, and with a white one."""
    return {
        color: [
            ImageOps.expand(film, tuple(round(BORDER * side) for side in film.size), color)
            for film in films
        ]
        for color in ("black", "white")
    }


def _verdicts(
    gate: Gate,
    runner: Runner,
    contract: ModelContract,
    pixels: Pixels,
    answers: Answers | None = None,
    *,
    as_negatives: bool = False,
) -> list[Verdict]:
    """What the gate makes of pictures, whose `answers` somebody may have already."""
    sight = Sight(
        pixels=lambda: to_rgb(pixels, contract),
        summaries=lambda: (answers or runner.run(pixels)).summaries,
    )
    return gate.judge(sight, as_negatives=as_negatives) or []


def _as_told(shares: dict[str, RefusedShare]) -> dict[str, Refused]:
    return {kind: Refused(**dict(found)) for kind, found in shares.items()}
