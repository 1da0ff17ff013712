"""A structured report: TID 1500 of PS3.16, as a Comprehensive SR (PS3.3 A.35.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.sr.codedict import codes

from app.pacs import codes as concepts
from app.pacs.film import stable_uid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom import Dataset

    from app.pacs.service import Answer, Model, Refusal

DISCLAIMER: Final = (
    "Research software, not a medical device: not for diagnosis, treatment or any decision about "
    "a patient."
)
MANUFACTURER: Final = "cxr-inference"
SERIES_DESCRIPTION: Final = "Research, not for diagnosis: chest X-ray classes"
UNKNOWN_ELSEWHERE: Final = (
    "This checkpoint does not say what its figures are worth at a hospital that it never saw."
)
_SERIES_NUMBER: Final = 9000
_PLAIN_CHEST: Final = CodedConcept("399208008", "SCT", "Plain chest X-ray")
_NO_UNITS: Final = CodedConcept("1", "UCUM", "no units")


def report_of_answer(header: Dataset, answer: Answer, model: Model, *, version: str) -> Dataset:
    """The report of `answer` about the film of `header`; its UIDs follow from film and checkpoint.

    It has the disclaimer first, then for each class its probability, the prediction set, the
    warnings, and what the figures are worth at a hospital unseen in training.
    """
    algorithm = AlgorithmIdentification(
        name=f"cxr-inference {answer.model_name}",
        version=version,
        parameters=[f"Checkpoint SHA-256: {answer.sha256}"],
        manufacturer=MANUFACTURER,
    )
    groups = [
        _group(
            header,
            tracked=f"class {name}",
            finding=concepts.code_of_class(name),
            algorithm=algorithm,
            measurements=[
                Measurement(concepts.private(concepts.PROBABILITY), probability, _NO_UNITS)
            ],
        )
        for name, probability in answer.probabilities.items()
    ]
    summary = _group(
        header,
        tracked="prediction set",
        finding=concepts.private(concepts.FINDING_CLASS),
        algorithm=algorithm,
        evaluations=[
            QualitativeEvaluation(
                concepts.private(concepts.PREDICTION_SET), concepts.code_of_class(name)
            )
            for name in answer.prediction_set
        ],
    )
    if not answer.prediction_set:
        words = "No class reaches its operating point: the model does not know."
        summary[0].ContentSequence.append(_text(concepts.PREDICTION_SET, words))
    for warning in answer.warnings:
        summary[0].ContentSequence.append(_text(concepts.WARNING, warning))
    for caveat in model.caveats or (UNKNOWN_ELSEWHERE,):
        summary[0].ContentSequence.append(_text(concepts.GENERALISATION, caveat))
    return _document(header, [summary, *groups], about=("answer", answer.sha256), version=version)


def report_of_refusal(header: Dataset, refusal: Refusal, *, version: str) -> Dataset:
    """The report that says why the film of `header` got no answer."""
    group = _group(
        header, tracked="refusal", finding=concepts.private(concepts.REFUSAL), algorithm=None
    )
    for words in (refusal.title, refusal.detail):
        group[0].ContentSequence.append(_text(concepts.REFUSAL, words))
    about = ("refusal", refusal.title, version)
    return _document(header, [group], about=about, version=version)


def _document(
    header: Dataset,
    groups: list[MeasurementsAndQualitativeEvaluations],
    *,
    about: tuple[str, ...],
    version: str,
) -> Dataset:
    observer = ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=stable_uid(header, "observer", *about),
            name="CXR",
            manufacturer_name=MANUFACTURER,
            model_name="cxr-inference",
        ),
    )
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=_PLAIN_CHEST,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
            CodedConcept("en", "RFC5646", "English")
        ),
    )
    root = content[0]
    root.ContentSequence.insert(0, _text(concepts.DISCLAIMER, DISCLAIMER))
    document = ComprehensiveSR(
        evidence=[header],
        content=root,
        series_instance_uid=stable_uid(header, "series", *about),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=stable_uid(header, "instance", *about),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=SERIES_DESCRIPTION,
        software_versions=version,
    )
    document.PreliminaryFlag = "PRELIMINARY"
    document.CodingSchemeIdentificationSequence = [concepts.private_scheme()]
    return document


def _group(
    header: Dataset,
    *,
    tracked: str,
    finding: CodedConcept,
    algorithm: AlgorithmIdentification | None,
    measurements: Iterable[Measurement] = (),
    evaluations: Iterable[QualitativeEvaluation] = (),
) -> MeasurementsAndQualitativeEvaluations:
    film = SourceImageForMeasurementGroup(str(header.SOPClassUID), str(header.SOPInstanceUID))
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=stable_uid(header, "tracked", tracked), identifier=tracked
        ),
        finding_type=finding,
        algorithm_id=algorithm,
        measurements=list(measurements) or None,
        qualitative_evaluations=list(evaluations) or None,
        source_images=[film],
    )


def _text(concept: tuple[str, str], words: str) -> TextContentItem:
    return TextContentItem(
        name=concepts.private(concept),
        value=words,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
