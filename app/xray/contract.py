"""What a checkpoint promises about its input and output, carried inside the checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.xray.errors import CheckpointCorrupt, CheckpointRefused
from app.xray.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import h5py
    from numpy.typing import NDArray

ATTRIBUTE = "cxr_contract"
SCHEMA_VERSION: Final = 2
_NAMES_IN_SCHEMA_1: Final = {"color_mode": "channels", "interpolation": "resize"}
DEFAULT_CLASSES = ("COVID", "NORMAL", "PNEUMONIA")
UNIT_SCALE = 1 / 255
DEFAULT_OPERATING_POINT: Final = 0.5
"""Where none was fitted: a class must be at least as likely as all others together."""
_FIELDS_OF_SCHEMA_1: Final = frozenset(
    """
    classes color_mode dataset input_size interpolation metrics offset ood operating_points scale
    schema_version temperature trained_at versions
    """.split()
)
_MAX_TEXT_BYTES: Final = 1 << 24

Probability = Annotated[float, Field(ge=0, le=1)]
ClassName = Annotated[str, Field(min_length=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(_Frozen):
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class DatasetSummary(_Frozen):
    """What a checkpoint was trained and judged on.

    `fingerprint` is the SHA-256 over the sorted lines `SPLIT/CLASS/NAME SHA256-OF-FILE`;
    `counts` gives pictures per split and class.
    """

    fingerprint: str
    counts: dict[str, dict[str, int]]


class LowerPrecision(_Frozen):
    """What it costs to compute the layers from `from_layer` on in a lower precision.

    Found on `pictures` of the validation split: the share of them that keep their label, and the
    largest difference of a probability, before calibration.
    """

    from_layer: Annotated[str, Field(min_length=1)]
    same_label: Probability
    largest_difference: Probability
    pictures: Annotated[int, Field(gt=0)]


class CalibratedOn(_Frozen):
    """What temperature and operating points were fitted on, and the share of sets with the truth.

    `pictures` of `split`; those of `sources_left_out` were answered by networks that had not seen
    these sources. `coverage_found` is on pictures that the points were not fitted on.
    """

    split: Annotated[str, Field(min_length=1)]
    pictures: Annotated[int, Field(gt=0)]
    sources_left_out: tuple[str, ...] = ()
    coverage_asked: Probability
    coverage_found: Probability | None = None


class ModelContract(_Frozen):
    """The agreement between a checkpoint and whoever feeds it.

    Model input = pixels x `scale` + `offset` in float32, shape (height, width, 3), from 8-bit
    RGB pixels resized to `input_size` (height, width) by Pillow's method `resize`, which but for
    "nearest" averages over what it leaves out. Where `decode` is "scaled", a JPEG much larger than
    that is decoded at a part of its size first. Model output is one probability per entry of
    `classes`, in that order. `known_answers` are those that the training framework gave for the
    pictures of `app.xray.probes`, before calibration, in this order.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2)]
    input_size: tuple[Annotated[int, Field(gt=0, le=4096)], Annotated[int, Field(gt=0, le=4096)]]
    output: Literal["softmax"] = "softmax"
    channels: Literal["rgb"] = "rgb"
    resize: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
    decode: Literal["full", "scaled"] = "full"
    scale: float
    offset: float = 0.0
    temperature: Annotated[float, Field(ge=0.05, le=100)] = 1.0
    operating_points: dict[str, Probability] = {}
    calibrated_on: CalibratedOn | None = None
    ood: Gate | None = None
    precisions: dict[Literal["bf16"], LowerPrecision] = {}
    known_answers: tuple[tuple[Probability, ...], ...] = ()
    dataset: DatasetSummary | None = None
    metrics: dict[str, Estimate] = {}
    caveats: tuple[str, ...] = ()
    trained_at: str | None = None
    versions: dict[str, str] = {}

    @property
    def is_calibrated(self) -> bool:
        """Whether a temperature was fitted: with the operating points, and it may be 1."""
        return bool(self.operating_points) or self.temperature != 1.0

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one model input: (height, width, channels)."""
        return (*self.input_size, 3)

    def calibrate(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Temperature-scaled probabilities, float64 (n, classes), each row summing to 1.

        Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2. The logarithm of
        a softmax is its logits but for a constant, which the next softmax takes out again, so a
        checkpoint that ends in a softmax need not be cut open.
        """
        floor = np.finfo(np.float64).tiny
        logits = np.log(np.maximum(probabilities.astype(np.float64), floor)) / self.temperature
        powers: NDArray[np.float64] = np.exp(logits - logits.max(axis=-1, keepdims=True))
        powers /= powers.sum(axis=-1, keepdims=True)
        return powers

    def prediction_sets(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """The classes that reach their operating points, bool (n, classes).

        `probabilities` (n, classes) are calibrated. A class without an operating point has
        `DEFAULT_OPERATING_POINT`. Where the points were fitted per class at a coverage, a set
        holds the truth at that coverage (split conformal prediction by class: Vovk 2012,
        "Conditional validity of inductive conformal predictors").
        """
        points = [self.operating_points.get(name, DEFAULT_OPERATING_POINT) for name in self.classes]
        reached: NDArray[np.bool_] = probabilities >= np.array(points)
        return reached

    def is_uncertain(
        self,
        probabilities: NDArray[np.floating[Any]],
        sets: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:
        """Of which pictures the prediction set is not exactly the likeliest class, bool (n,).

        `probabilities` (n, classes) are calibrated; `sets` are their `prediction_sets`, where
        somebody has them already.
        """
        sets = self.prediction_sets(probabilities) if sets is None else sets
        likeliest = sets[np.arange(len(sets)), np.argmax(probabilities, axis=1)]
        uncertain: NDArray[np.bool_] = ~(likeliest & (sets.sum(axis=1) == 1))
        return uncertain

    @model_validator(mode="before")
    @classmethod
    def _from_schema_1(cls, fields: Any) -> Any:
        """The fields of schema 1 by their names of today; its meaning has not changed."""
        if not isinstance(fields, dict) or fields.get("schema_version") != 1:
            return fields
        if strangers := set(fields) - _FIELDS_OF_SCHEMA_1:
            raise ValueError(f"schema version 1 has no {', '.join(sorted(strangers))}")
        renamed = {_NAMES_IN_SCHEMA_1.get(name, name): value for name, value in fields.items()}
        return {**renamed, "schema_version": SCHEMA_VERSION}

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes repeat: {', '.join(self.classes)}")
        if strangers := set(self.operating_points) - set(self.classes):
            raise ValueError(f"operating points for unknown classes: {', '.join(strangers)}")
        if any(len(answer) != len(self.classes) for answer in self.known_answers):
            raise ValueError(f"each known answer needs {len(self.classes)} probabilities")
        if self.decode == "scaled" and self.resize == "nearest":
            raise ValueError("nearest neighbour takes single pixels: it needs decode full")
        return self

    @classmethod
    def recipe_of_2022(cls, classes: Sequence[str] = DEFAULT_CLASSES) -> ModelContract:
        """The contract of a checkpoint that carries none: nearest neighbour, 1/255, uncalibrated.

        `classes` in output order. Raises `pydantic.ValidationError` where they repeat.
        """
        return cls(
            classes=tuple(classes),
            input_size=(224, 224),
            resize="nearest",
            scale=UNIT_SCALE,
        )

    @classmethod
    def read(cls, file: h5py.File) -> ModelContract | None:
        """The contract at the root of an open HDF5 file, None where it carries none.

        Raises `CheckpointRefused` where the attribute is there but is no contract of a schema
        that this version knows.
        """
        if ATTRIBUTE not in file.attrs:
            return None
        try:
            return cls.model_validate_json(read_text(file, ATTRIBUTE))
        except (ValidationError, CheckpointCorrupt) as error:
            raise CheckpointRefused(
                f"the attribute {ATTRIBUTE} is no contract of schema version 1 or "
                f"{SCHEMA_VERSION}: {error}"
            ) from error

    def write(self, file: h5py.File) -> None:
        """Write this contract at the root of an HDF5 file open for writing."""
        file.attrs[ATTRIBUTE] = self.model_dump_json()


def read_text(file: h5py.File, name: str) -> str | bytes:
    """The text in the attribute `name` at the root of an open HDF5 file.

    Raises `CheckpointCorrupt` where it is no text, or of more than `_MAX_TEXT_BYTES`.
    """
    attribute = file.attrs.get_id(name)
    if attribute.dtype.itemsize > _MAX_TEXT_BYTES or attribute.shape != ():
        raise CheckpointCorrupt(f"the attribute {name} is no text of up to {_MAX_TEXT_BYTES} bytes")
    value = file.attrs[name]
    if not isinstance(value, str | bytes) or len(value) > _MAX_TEXT_BYTES:
        raise CheckpointCorrupt(f"the attribute {name} is no text of up to {_MAX_TEXT_BYTES} bytes")
    return value
