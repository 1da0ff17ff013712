"""What a checkpoint promises about its input and output, carried inside the checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from app.xray.contract.figures import (
    CalibratedOn,
    DatasetSummary,
    Estimate,
    LowerPrecision,
    Probability,
)
from app.xray.contract.outputs import Output, network_outputs, temper, to_probabilities
from app.xray.contract.picture import PictureContract
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
"""Where none was fitted: a class must be at least as likely as not."""
_FIELDS_OF_SCHEMA_1: Final = frozenset(
    """
    classes color_mode dataset input_size interpolation metrics offset ood operating_points scale
    schema_version temperature trained_at versions
    """.split()
)
_MAX_TEXT_BYTES: Final = 1 << 24

ClassName = Annotated[str, Field(min_length=1)]
Offset = Annotated[float, Field(ge=-20, le=20)]
"""What is added to the logit of a class, in nats; a class without one has 0."""


class ModelContract(PictureContract):
    """The agreement between a checkpoint and whoever feeds it.

    How model input is made of a picture is what `PictureContract` says. `output` says what the
    network makes of it, and `probabilities_of` what that means for each of `classes`, in that
    order. `known_answers` are the probabilities that the training framework gave for the pictures
    of `app.xray.probes`, before calibration, in this order.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2)]
    output: Output = "softmax"
    temperature: Annotated[float, Field(ge=0.05, le=100)] = 1.0
    offsets: dict[str, Offset] = Field(default_factory=dict)
    operating_points: dict[str, Probability] = Field(default_factory=dict)
    calibrated_on: CalibratedOn | None = None
    ood: Gate | None = None
    precisions: dict[Literal["bf16"], LowerPrecision] = Field(default_factory=dict)
    known_answers: tuple[tuple[Probability, ...], ...] = ()
    dataset: DatasetSummary | None = None
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    trained_at: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def is_calibrated(self) -> bool:
        """Whether a temperature was fitted: with the operating points, and it may be 1."""
        return bool(self.operating_points or self.offsets) or self.temperature != 1.0

    @property
    def multi_label(self) -> bool:
        """Whether each class is judged by itself, so that probabilities need not sum to 1."""
        return self.output == "sigmoid"

    @property
    def network_outputs(self) -> tuple[int, ...]:
        """How many numbers the network may give for a picture."""
        return network_outputs(self.output, len(self.classes))

    def probabilities_of(self, numbers: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """The probabilities (n, classes) in what the network gave, (n, outputs): see `Output`.

        They are of the type of `numbers`, and not calibrated.
        """
        return to_probabilities(numbers, self.output)

    def calibrate(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Calibrated probabilities, float64 (n, classes): by offsets and temperature, see `temper`.

        Each row sums to 1, unless `multi_label`.
        """
        offsets = np.array([self.offsets.get(name, 0.0) for name in self.classes])
        return temper(probabilities, self.temperature, offsets, multi_label=self.multi_label)

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

        Where several classes may be there (`multi_label`): of which no class reaches its point.
        `probabilities` (n, classes) are calibrated; `sets` are their `prediction_sets`, where
        somebody has them already.
        """
        sets = self.prediction_sets(probabilities) if sets is None else sets
        if self.multi_label:
            nothing: NDArray[np.bool_] = np.logical_not(sets.any(axis=1))
            return nothing
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
        for what, of_classes in (
            ("operating points", self.operating_points),
            ("offsets", self.offsets),
        ):
            if strangers := set(of_classes) - set(self.classes):
                raise ValueError(f"{what} for unknown classes: {', '.join(strangers)}")
        if any(len(answer) != len(self.classes) for answer in self.known_answers):
            raise ValueError(f"each known answer needs {len(self.classes)} probabilities")
        if self.output == "sigmoid-one" and len(self.classes) != 2:
            raise ValueError(
                f"output sigmoid-one is of two classes, not of {len(self.classes)}; in order: that "
                "of 0, that of 1"
            )
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
