"""The gate by outlines, fitted to films and strangers, its threshold by sources left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from app.xray.gate import OutlineGate, PackedArray, RefusedShare
from app.xray.gate.view import DIMENSIONS, describe
from app.xray.preprocess import to_rgb
from training.data.manifest import UNKNOWN
from training.evaluation.gate.variants import forms_of, from_elsewhere, gone_wrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from app.xray.contract import ModelContract
    from training.data.dataset import Split

    Pictures = NDArray[np.uint8]
    Seen = NDArray[np.float32]

REFUSED_SHARE: Final = 0.03
"""The share of the films of a source left out that the gate may refuse, of the worst source."""
NEGATIVES_REFUSED_SHARE: Final = 0.10
"""The same of films that come as negatives, which are rare."""
ENOUGH: Final = 20
"""Fewer films of a source are not left out: they would say little of where it lies."""

_MOST_FILMS: Final = 4000
"""More films of train do not make the gate better; spread evenly, so many are taken."""
_VARIANTS: Final = 4
"""Films as from elsewhere, for each film."""
_FORMS: Final = 12
"""Forms of each stranger."""
_PARTS: Final = 4
"""Into so many the strangers of each kind are parted to be judged."""
_STRANGERS_WEIGH: Final = 1.5
_WRONG_WEIGH: Final = 0.5
"""What all strangers weigh together, each kind alike, and all films gone wrong; films weigh 1."""
_INVERSE_PENALTY: Final = 0.01
"""scikit-learn's C, where the mean weight of a picture is 1."""
_ROUNDING: Final = 1e-5
"""By what share a threshold is raised: weights are packed as float32, and so no film lies on it."""
_QUARTILES_APART: Final = 1.349
"""How many deviations lie between the quartiles of a Gaussian."""
_STEADY: Final = 1e-3
"""Added to each dimension's deviation: some never change."""


class Films(NamedTuple):
    """The films of one split: uint8 (n, height, width, 3), and each one's source."""

    pixels: Pictures
    sources: Sequence[str]

    @classmethod
    def of(cls, split: Split, sources: dict[str, str], contract: ModelContract) -> Films:
        """A split's, with the source of each file where `sources` names it."""
        return cls(
            to_rgb(split.pixels, contract), [sources.get(file, UNKNOWN) for file in split.files]
        )


class Line(NamedTuple):
    """A logistic regression: logit = described @ weights + bias, above 0 for strangers."""

    weights: NDArray[np.float64]
    bias: float

    def logits(self, described: Seen) -> NDArray[np.float64]:
        """Logits (...) of what is seen of pictures, float32 (..., DIMENSIONS)."""
        found: NDArray[np.float64] = described @ self.weights + self.bias
        return found


class _Evidence(NamedTuple):
    """What is seen of the films of train, by film, and of strangers by kind and picture."""

    films: Seen
    """(n, forms, DIMENSIONS), the film itself first."""
    wrong: Seen
    """(n, DIMENSIONS): each film gone wrong."""
    sources: NDArray[np.str_]
    strangers: dict[str, Seen]
    """(n, forms, DIMENSIONS), the picture first, its negative second."""


def fit_gate(train: Films, val: Films, strangers: Mapping[str, Pictures]) -> OutlineGate:
    """A logistic regression between the films of `train` and everything else.

    `strangers` are pictures of other things by kind, uint8 (n, height, width, 3), like beside like.
    Beside the films stand variants of them (`training.evaluation.gate.variants`): as other
    hospitals make them they are films; inverted, turned or cropped to a corner they are strangers.

    The threshold is found on films of sources left out: for each source with at least `ENOUGH`
    films a line is fitted without it, and scores its films in train and val. Of no source do more
    than `REFUSED_SHARE` lie above: another hospital may differ as the worst does. With fewer than
    two such sources val is scored, by the gate itself. Either way it is split conformal prediction
    (Papadopoulos et al. 2002, "Inductive Confidence Machines for Regression").

    What of the strangers is refused is told by lines that were fitted without a quarter of each
    kind, of that quarter; the gate itself is fitted to all. The same pictures give the same gate.
    """
    train = _spread(train)
    evidence = _look(train, strangers)
    line = _fit(evidence)
    seen = Films(np.concatenate([train.pixels, val.pixels]), [*train.sources, *val.sources])
    known = np.array(seen.sources)
    by_source = {}
    for source, without in _without_each(evidence).items():
        by_source[source] = _logits(_fit(without), seen.pixels[known == source])
    of_val = _logits(line, val.pixels)
    placed = by_source or {"": of_val}
    bound, negative_bound = (
        max(_passed(found[:, 0], share) for found in placed.values())
        for share in (REFUSED_SHARE, NEGATIVES_REFUSED_SHARE)
    )
    quartiles = [np.quantile(found[:, 0], [0.25, 0.5, 0.75]) for found in placed.values()]
    low, middle, high = np.mean(quartiles, axis=0).tolist()
    deviation = max((high - low) / _QUARTILES_APART, _STEADY)

    def refused(logits: NDArray[np.float64]) -> RefusedShare:
        beyond = logits[:, 0] > bound
        both = beyond & (logits[:, 1] > negative_bound)
        return RefusedShare(pictures=len(logits), beyond=beyond.mean(), refused=both.mean())

    scores = np.logaddexp(0, (np.array([bound, negative_bound]) - middle) / deviation)
    scores *= 1 + _ROUNDING
    return OutlineGate(
        weights=PackedArray.pack(line.weights / deviation),
        bias=(line.bias - middle) / deviation,
        threshold=scores[0],
        negative_threshold=scores[1],
        refused_on_val=refused(of_val).beyond,
        refused_elsewhere={name: refused(found) for name, found in by_source.items()},
        refused_strangers={
            kind: refused(found) for kind, found in _logits_of_parts(evidence).items()
        },
    )


def _spread(films: Films) -> Films:
    kept = np.unique(np.linspace(0, len(films.pixels) - 1, _MOST_FILMS).astype(int))
    return Films(films.pixels[kept], [films.sources[index] for index in kept])


def _look(train: Films, strangers: Mapping[str, Pictures]) -> _Evidence:
    rng = np.random.default_rng(0)
    films = np.stack(
        [
            _see([film, *(from_elsewhere(film, rng) for _ in range(_VARIANTS))])
            for film in train.pixels
        ]
    )
    forms = {
        kind: np.stack([_see(forms_of(picture, _FORMS, rng)) for picture in pictures])
        for kind, pictures in strangers.items()
    }
    wrong = _see(gone_wrong(film, rng) for film in train.pixels)
    return _Evidence(films, wrong, np.array(train.sources), forms)


def _see(pictures: Iterable[Pictures]) -> Seen:
    return np.stack([describe(picture) for picture in pictures])


def _logits(line: Line, pictures: Pictures) -> NDArray[np.float64]:
    """Logits (n, 2) of pictures and of their negatives."""
    return np.stack([line.logits(_see(pictures)), line.logits(_see(255 - pictures))], axis=1)


def _without_each(evidence: _Evidence) -> dict[str, _Evidence]:
    """The evidence without each source in turn; {} where there are not two to leave out."""
    names, counts = np.unique(evidence.sources, return_counts=True)
    enough = names[counts >= ENOUGH].tolist()
    if len(enough) < 2:
        return {}
    found = {}
    for name in enough:
        kept = evidence.sources != name
        found[name] = evidence._replace(
            films=evidence.films[kept], wrong=evidence.wrong[kept], sources=evidence.sources[kept]
        )
    return found


def _logits_of_parts(evidence: _Evidence) -> dict[str, NDArray[np.float64]]:
    """Logits (n, 2) of strangers and their negatives, by a line that was fitted without them.

    Without one part of each kind at a time, whose pictures stand together: so does what is alike.
    """
    found: dict[str, list[NDArray[np.float64]]] = {kind: [] for kind in evidence.strangers}
    for part in range(_PARTS):
        without, judged = {}, {}
        for kind, forms in evidence.strangers.items():
            begin, end = (len(forms) * place // _PARTS for place in (part, part + 1))
            without[kind] = np.concatenate([forms[:begin], forms[end:]])
            judged[kind] = forms[begin:end, :2]
        line = _fit(evidence._replace(strangers=without))
        for kind, forms in judged.items():
            found[kind].append(line.logits(forms))
    return {kind: np.concatenate(logits) for kind, logits in found.items()}


def _fit(evidence: _Evidence) -> Line:
    from sklearn.linear_model import LogisticRegression

    films, wrong = evidence.films.reshape(-1, DIMENSIONS), evidence.wrong
    kinds = [forms.reshape(-1, DIMENSIONS) for forms in evidence.strangers.values() if len(forms)]
    rows = np.concatenate([films, wrong, *kinds])
    is_strange = np.arange(len(rows)) >= len(films)
    each = _STRANGERS_WEIGH / max(len(kinds), 1)
    groups = [(films, 1.0), (wrong, _WRONG_WEIGH), *((forms, each) for forms in kinds)]
    weights = np.concatenate([np.full(len(group), share / len(group)) for group, share in groups])
    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + _STEADY
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=500)
    model.fit((rows - mean) / deviation, is_strange, sample_weight=weights / weights.mean())
    slope = model.coef_[0] / deviation
    return Line(slope, float(model.intercept_[0] - slope @ mean))


def _passed(logits: NDArray[np.float64], refused_share: float) -> float:
    """The smallest of a source's logits up to which a further film of it lies with 1 - the share.

    With fewer films than that takes, the largest.
    """
    place = int(np.ceil((len(logits) + 1) * (1 - refused_share)))
    return float(np.sort(logits)[min(place, len(logits)) - 1])
