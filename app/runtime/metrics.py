"""What Prometheus is told: every name in one place, with labels that cannot grow."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Stage = Literal["decode", "queue", "inference", "explain"]

_REQUEST_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_STAGE_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64)
_SHARES: Final = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
_OF_THRESHOLD: Final = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2, 3, 5)


class Metrics:
    """The figures of one service, in a registry of its own.

    Nothing of a patient is in them: counts, durations, and how sure the model was. `on_stage` is
    told of each stage of an upload: its name, how many seconds it took, and how many ago it ended.
    """

    def __init__(self, on_stage: Callable[[str, float, float], None] = lambda *_: None) -> None:
        self._on_stage = on_stage
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when each began: twice the series
        self._registry = registry = CollectorRegistry()
        for collect in (ProcessCollector, PlatformCollector, GCCollector):
            collect(registry=registry)
        self._requests = Histogram(
            "cxr_http_request_duration_seconds",
            "From the end of a request's head to that of its answer",
            ("method", "route", "code"),
            buckets=_REQUEST_S,
            registry=registry,
        )
        self._stages = Histogram(
            "cxr_stage_duration_seconds",
            "Of one upload: decoded; waiting for the model; in the model, its whole batch; drawn",
            ("stage",),
            buckets=_STAGE_S,
            registry=registry,
        )
        self._sizes = Histogram(
            "cxr_batch_size",
            "Pictures that the model answered at once",
            buckets=_SIZES,
            registry=registry,
        )
        self._refused = Counter(
            "cxr_refused", "Requests that got no answer", ("reason",), registry=registry
        )
        self._faults = Counter(
            "cxr_faults", "Requests that met a bug, answered with 500", registry=registry
        )
        self._deaths = Counter(
            "cxr_decoder_deaths",
            "Processes that ended before they had decoded: for too much CPU time (overtime), "
            "without any for long (stalled), killed from outside, or crashed",
            ("cause",),
            registry=registry,
        )
        for cause in ("overtime", "stalled", "killed", "crashed"):
            self._deaths.labels(cause)
        self._keyed = Counter(
            "cxr_keyed_requests",
            "Requests that a key let in, by the name that the key was given",
            ("key",),
            registry=registry,
        )
        self._reloads = Counter(
            "cxr_reloads",
            "New checkpoints that were to take the place of the served one",
            ("outcome",),
            registry=registry,
        )
        for outcome in ("succeeded", "failed"):
            self._reloads.labels(outcome)
        self._predictions = Counter(
            "cxr_predictions",
            "Pictures that were answered, by likeliest class; uncertain where their set is "
            "anything but that class",
            ("class", "uncertain"),
            registry=registry,
        )
        self._confidence = Histogram(
            "cxr_prediction_confidence_ratio",
            "Probability of the likeliest class",
            ("class",),
            buckets=_SHARES,
            registry=registry,
        )
        self._scores = Histogram(
            "cxr_gate_score_ratio",
            "How far a picture is from the X-rays of training, of what is still answered",
            buckets=_OF_THRESHOLD,
            registry=registry,
        )
        self._model = Gauge(
            "cxr_model_info",
            "1 for the checkpoint that is served",
            ("name", "sha256", "calibrated", "engine", "device"),
            registry=registry,
        )
        self._depth = Gauge(
            "cxr_queue_depth", "Uploads that wait for the model, decoded or not", registry=registry
        )
        self._ready = Gauge(
            "cxr_ready", "1 where health says ready: a model is there, and stays", registry=registry
        )

    def watch(self, *, waiting: Callable[[], int], is_ready: Callable[[], bool]) -> None:
        """Have the queue and the state looked at whenever somebody asks."""
        self._depth.set_function(waiting)
        self._ready.set_function(is_ready)

    def set_model(
        self,
        *,
        name: str,
        sha256: str,
        calibrated: bool,
        engine: str,
        device: str,
        classes: Sequence[str],
    ) -> None:
        """Name the checkpoint that is served from now on.

        Its classes are counted from 0 on: a counter that is not there yet has no rate.
        """
        self._model.clear()
        self._model.labels(name, sha256, _spell(calibrated), engine, device).set(1)
        for label in classes:
            self._confidence.labels(label)
            for uncertain in (False, True):
                self._predictions.labels(label, _spell(uncertain))

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def set_reasons(self, reasons: Iterable[str]) -> None:
        """Have refusals for each of these counted from 0 on, as the classes of `set_model` are."""
        for reason in reasons:
            self._refused.labels(reason)

    def count_fault(self) -> None:
        """Count a request that met a bug."""
        self._faults.inc()

    def count_refusal(self, reason: str) -> None:
        """Count a request that was refused."""
        self._refused.labels(reason).inc()

    def count_decoder_death(self, cause: str) -> None:
        """One process that ended before it had decoded."""
        self._deaths.labels(cause).inc()

    def set_keys(self, names: Iterable[str]) -> None:
        """Have requests by keys of these names counted from 0 on."""
        for name in names:
            self._keyed.labels(name)

    def count_key(self, name: str) -> None:
        """Count a request that a key of this name let in."""
        self._keyed.labels(name).inc()

    def count_reload(self, outcome: Literal["succeeded", "failed"]) -> None:
        """Count a new checkpoint that was taken, or refused."""
        self._reloads.labels(outcome).inc()

    def count_batch(self, size: int) -> None:
        """Count a batch that the model has run."""
        self._sizes.observe(size)

    def count_item(self, waited_s: float, took_s: float) -> None:
        """Count a picture of a batch: how long it had waited, and how long the batch took."""
        self.count_stage("queue", waited_s, ended_ago_s=took_s)
        self.count_stage("inference", took_s)

    def count_answer(self, label: str, confidence: float, *, uncertain: bool) -> None:
        """Count an answer of the model."""
        self._predictions.labels(label, _spell(uncertain)).inc()
        self._confidence.labels(label).observe(confidence)

    def count_score(self, score: float, threshold: float) -> None:
        """Count the gate's score of a picture, whether the picture was answered or not."""
        self._scores.observe(score / threshold)

    def count_stage(self, name: Stage, seconds: float, *, ended_ago_s: float = 0.0) -> None:
        """Count an upload that went through a stage."""
        self._stages.labels(name).observe(seconds)
        self._on_stage(name, seconds, ended_ago_s)

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Measure the block, whatever becomes of it."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.count_stage(name, time.perf_counter() - begun)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """All figures, and the media type of how they are written: as `accept` asks."""
        return expose(self._registry, accept)


def expose(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """All figures of `registry`, and the media type of how they are written: as `accept` asks."""
    try:
        encode, media_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        encode, media_type = choose_encoder("")
    return encode(registry), media_type


def _spell(flag: bool) -> str:
    return "true" if flag else "false"
