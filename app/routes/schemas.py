"""What the service answers: the models behind the OpenAPI page."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, Field

from app.inference.engines.engine import HeldAgainst
from app.server.problems import Problem
from app.xray.contract import ModelContract
from app.xray.errors import public_message

if TYPE_CHECKING:
    from app.inference.classifier import Classifier, Prediction
    from app.inference.explain import LayeredExplanation
    from app.inference.lifecycle import Service
    from app.inference.loading import Reload


class ModelIdentity(BaseModel):
    """Which checkpoint answered."""

    name: str = Field(examples=["best_model"])
    sha256: str = Field(description="SHA-256 of the checkpoint file")
    calibrated: bool = Field(description="Whether its probabilities were calibrated")
    multi_label: bool = Field(
        False,
        exclude_if=lambda value: not value,
        description="True, or not there. True where it judges each class by itself: none, one or "
        "several may be there, and probabilities need not sum to 1",
    )

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """The identity of a loaded model."""
        checkpoint = classifier.checkpoint
        return cls(
            name=checkpoint.name,
            sha256=checkpoint.sha256,
            calibrated=checkpoint.contract.is_calibrated,
            multi_label=checkpoint.contract.multi_label,
        )


class Layers(BaseModel):
    """The picture that was answered, and what of it speaks for each class."""

    picture: str = Field(description="The X-ray in gray, a PNG file as a data URI")
    heat: dict[str, str] | None = Field(
        None,
        description="For each class that anything speaks for, a PNG file as data URI, as opaque as "
        "the heat is strong, to stretch over the picture; left out where this model cannot be "
        "explained",
    )

    @classmethod
    def of(cls, explanation: LayeredExplanation) -> Self:
        """The layers of `explanation`."""
        heat = explanation.heat
        uris = heat if heat is None else {name: _data_uri(png) for name, png in heat.items()}
        return cls(picture=_data_uri(explanation.picture), heat=uris)


class PredictionResponse(BaseModel):
    """The class probabilities of one radiograph."""

    label: str = Field(description="The likeliest class", examples=["PNEUMONIA"])
    confidence: float = Field(description="Its probability", examples=[0.93])
    probabilities: dict[str, float] = Field(
        description="Every class, in the model's order; they sum to 1, unless the model is "
        "`multi_label`",
        examples=[{"COVID": 0.02, "NORMAL": 0.05, "PNEUMONIA": 0.93}],
    )
    prediction_set: tuple[str, ...] = Field(
        description="The classes that reach their operating points, in the model's order: those "
        "that cannot be excluded",
        examples=[["PNEUMONIA"]],
    )
    uncertain: bool = Field(
        description="True unless the prediction set is exactly the label; where the model is "
        "`multi_label`: where it is empty"
    )
    warnings: tuple[str, ...] = Field(description="What to mind about this answer")
    model: ModelIdentity
    request_id: str
    heatmap: str | None = Field(
        default=None,
        description="With explain=true: the picture with what speaks for the label marked on it, "
        "a PNG file as a data URI",
    )
    layers: Layers | None = Field(
        default=None, description="With layers=true: the same of every class, in layers"
    )

    @classmethod
    def of(
        cls,
        prediction: Prediction,
        classifier: Classifier,
        request_id: str,
        *,
        png: bytes | None = None,
        layers: Layers | None = None,
    ) -> Self:
        """The answer that carries `prediction`, and `png` and `layers` where there are any."""
        return cls(
            label=prediction.label,
            confidence=prediction.confidence,
            probabilities=prediction.probabilities,
            prediction_set=prediction.prediction_set,
            uncertain=prediction.uncertain,
            warnings=prediction.warnings,
            model=ModelIdentity.of(classifier),
            request_id=request_id,
            heatmap=png and _data_uri(png),
            layers=layers,
        )


class EngineDescription(BaseModel):
    """What runs the network."""

    name: str = Field(examples=["openvino"])
    device: str = Field(examples=["cpu"])
    precision: str = Field(
        description="In which its numbers are computed", examples=["f32", "bf16 from conv_dw_4"]
    )
    layout: str | None = Field(
        description="Of its layers' maps: channels first is the fast one; null where the "
        "framework decides",
        examples=["channels first"],
    )
    held_against: HeldAgainst | None = Field(
        description="What its answers for drawn pictures were compared with when it was loaded"
    )
    largest_difference: float | None = Field(
        description="By how much a probability departed then, in f32"
    )

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """The description of a loaded model's engine."""
        return cls.model_validate(classifier.engine, from_attributes=True)


class GateDescription(BaseModel):
    """What refuses a picture that is no chest X-ray; its arrays stay in the checkpoint."""

    method: str = Field(examples=["outlines-logistic"])
    threshold: float = Field(description="Above this score a picture is refused")
    refused_on_val: float = Field(description="Share of the validation X-rays that it refuses")


class ModelDescription(ModelContract):
    """The contract of the loaded checkpoint, which file it is, and what runs it."""

    ood: GateDescription | None  # type: ignore[assignment]  # what a reader wants of the gate
    name: str
    sha256: str
    calibrated: bool
    carries_contract: bool = Field(
        description="False where the contract was assumed: a checkpoint that carries none"
    )
    engine: EngineDescription

    @classmethod
    def of_classifier(cls, classifier: Classifier) -> Self:
        """The description of a loaded model."""
        gate = classifier.contract.ood
        return cls(
            **classifier.contract.model_dump(exclude={"ood"}),
            ood=gate and GateDescription.model_validate(gate, from_attributes=True),
            **ModelIdentity.of(classifier).model_dump(exclude={"multi_label"}),  # `output` says it
            carries_contract=classifier.checkpoint.carries_contract,
            engine=EngineDescription.of(classifier),
        )


class Liveness(BaseModel):
    """That the process answers, and can still be helped: "dead" asks for a new one."""

    status: Literal["alive", "dead"] = "alive"


class ReloadOutcome(BaseModel):
    """What became of the last new checkpoint that was to take the place of the old one."""

    status: Literal["succeeded", "failed"]
    finished_at: datetime
    reason: str | None = Field(description="Why it was refused; the old one is served on")
    sha256: str | None = Field(description="Of the checkpoint that is served since then")

    @classmethod
    def of(cls, reload: Reload) -> Self:
        """The outcome of `reload`."""
        return cls.model_validate(reload, from_attributes=True)


class Health(BaseModel):
    """The state of the service, for orchestrators."""

    status: Literal["loading", "ready", "draining", "failed"]
    version: str = Field(description="Of the service")
    model: ModelIdentity | None = Field(description="None until it is loaded")
    engine: str | None = Field(examples=["openvino"])
    device: str | None = Field(examples=["cpu"])
    precision: str | None = Field(examples=["f32"])
    assumed: str | None = Field(
        description="What was assumed of a checkpoint that carries no contract, or said by the "
        "settings, which its answers warn of; None where it carries one"
    )
    reason: str | None = Field(description="Why the model cannot be served, where it cannot")
    reload: ReloadOutcome | None = Field(description="None where none was asked for")

    @classmethod
    def of(cls, service: Service, version: str) -> Self:
        """The present state of `service`."""
        loaded, reload = service.loaded, service.last_reload
        return cls(
            status=service.status,
            version=version,
            model=ModelIdentity.of(loaded) if loaded else None,
            engine=loaded.engine.name if loaded else None,
            device=loaded.engine.device if loaded else None,
            precision=loaded.engine.precision if loaded else None,
            assumed=loaded.checkpoint.assumption if loaded else None,
            reason=None if service.failure is None else public_message(service.failure),
            reload=reload and ReloadOutcome.of(reload),
        )


class BatchResponse(BaseModel):
    """What became of each file of a request, in the order in which they came."""

    results: list[PredictionResponse | Problem]
    request_id: str


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
