"""Pictures with their author's own numbers for them, as a command line says both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from app.xray.decode import decode
from app.xray.errors import AdoptionError, SenderError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_BETWEEN: Final = re.compile(r"[\s,;\[\]()]+")
"""Around numbers, as Python and NumPy print them."""
_SUM_TOLERANCE: Final = 1e-3


@dataclass(frozen=True)
class Like:
    """A picture, and what its author's program says of it."""

    path: Path
    image: Image.Image
    numbers: tuple[float, ...]
    rounding: float
    """By how much each number may have been rounded: half of a unit in its last digit."""

    def probabilities(self, classes: tuple[str, ...], output: str) -> NDArray[np.float64]:
        """The author's probability of each class, float64 (classes,).

        One number is that of the second of two classes. Numbers that are no probabilities are
        logits where `output` says that the network gives such.

        Raises:
            AdoptionError: another number of numbers, or they are no probabilities.
        """
        numbers = np.array(self.numbers)
        count = len(classes)
        if len(numbers) not in ({1, 2} if count == 2 else {count}):
            one = " (or one, that of the second)" if count == 2 else ""
            raise AdoptionError(
                f"--like {self.path}: {len(numbers)} numbers for {count} classes; one is needed "
                f"for each of {', '.join(classes)}, in this order{one}"
            )
        is_one = len(numbers) == 1
        if output == "logits" and not self._are_probabilities(numbers, is_one=is_one):
            logits = np.array([0.0, numbers[0]]) if is_one else numbers
            powers = np.exp(logits - logits.max())
            return np.asarray(powers / powers.sum())
        if np.any(numbers < 0) or np.any(numbers > 1):
            raise AdoptionError(
                f"--like {self.path}: {_spell(numbers)} are no probabilities; what the author's "
                "model.predict gives for this picture is wanted, not what is made of it"
            )
        if output != "sigmoid" and not self._are_probabilities(numbers, is_one=is_one):
            raise AdoptionError(
                f"--like {self.path}: {_spell(numbers)} sum to {numbers.sum():.4g}, but this "
                "network's probabilities sum to 1; all of them are wanted"
            )
        return np.array([1 - numbers[0], numbers[0]]) if is_one else numbers

    def _are_probabilities(self, numbers: NDArray[np.float64], *, is_one: bool) -> bool:
        within = bool(np.all(numbers >= 0) and np.all(numbers <= 1))
        off = 0.0 if is_one else abs(float(numbers.sum()) - 1)
        return within and off <= _SUM_TOLERANCE + len(numbers) * self.rounding


def read_like(text: str) -> Like:
    """The picture and numbers of `PICTURE=NUMBER[,NUMBER...]`.

    Raises:
        AdoptionError: it is not of this form, or the picture cannot be read.
    """
    name, equals, said = text.rpartition("=")
    words = [word for word in _BETWEEN.split(said) if word]
    if not equals or not name or not words:
        raise AdoptionError(
            f"--like {text}: expected PICTURE=NUMBER,NUMBER, as in xray.jpg=0.1,0.9"
        )
    try:
        decimals = [Decimal(word) for word in words]
    except InvalidOperation as error:
        raise AdoptionError(f"--like {text}: {said} are no numbers") from error
    if not all(decimal.is_finite() for decimal in decimals):
        raise AdoptionError(f"--like {text}: {said} are not all finite")
    path = Path(name)
    try:
        image = decode(path.read_bytes()).image
    except OSError as error:
        raise AdoptionError(f"--like {path}: cannot be read: {error.strerror}") from error
    except SenderError as error:
        raise AdoptionError(f"--like {path}: {error}") from error
    exponents = [int(decimal.as_tuple().exponent) for decimal in decimals]
    return Like(path, image, tuple(map(float, decimals)), 0.5 * 10.0 ** max(exponents))


def _spell(numbers: NDArray[np.float64]) -> str:
    return ",".join(f"{number:g}" for number in numbers)
