"""The service that knows the answers, asked over HTTP."""

from __future__ import annotations

import time
from base64 import b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from app.pacs.settings import PacsSettings

_REFUSALS: Final = frozenset({413, 415, 422})
"""What the service answers where the film itself is the reason."""
_PASSING: Final = frozenset({429, 502, 503, 504})
_LONGEST_WAIT_S: Final = 5.0


class ServiceUnavailable(Exception):
    """The service gave no answer in time, or not one that a film could be judged by."""


@dataclass(frozen=True)
class Answer:
    """What `POST /predict` says of one film."""

    probabilities: dict[str, float]
    prediction_set: tuple[str, ...]
    label: str
    warnings: tuple[str, ...]
    model_name: str
    sha256: str
    heat_map: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Refusal:
    """Why the service does not answer for one film."""

    title: str
    detail: str


@dataclass(frozen=True)
class Model:
    """What a report says of the checkpoint beside its answer."""

    name: str
    sha256: str
    caveats: tuple[str, ...]


class ServiceClient:
    """Asks the service; waits where it is busy, for as long as a film may take."""

    def __init__(self, settings: PacsSettings, *, version: str) -> None:
        headers = {"User-Agent": f"cxr-pacs/{version}"}
        if settings.pacs_service_key:
            headers["X-API-Key"] = settings.pacs_service_key.get_secret_value()
        self._wants_heat_map = settings.pacs_heatmap
        self._http = httpx.Client(
            base_url=settings.service_url.rstrip("/") + "/",
            headers=headers,
            timeout=httpx.Timeout(settings.pacs_timeout_s, connect=5),
            limits=httpx.Limits(max_connections=settings.pacs_max_associations),
            trust_env=False,
        )
        self._models: dict[str, Model] = {}

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def is_ready(self) -> bool:
        """Whether the service says that it answers films now."""
        try:
            return self._http.get("health/ready", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def ask(self, film: bytes, *, until: float) -> Answer | Refusal:
        """What the service makes of `film`, a DICOM file, by `until` of `time.monotonic`.

        Raises:
            ServiceUnavailable: it was busy or away until then, or answers what is none of ours.
        """
        parameters = {"explain": "true"} if self._wants_heat_map else {}
        while True:
            reply = self._post(film, parameters, until)
            if reply is not None and reply.status_code == httpx.codes.OK:
                return _read_answer(reply)
            if reply is not None and reply.status_code in _REFUSALS:
                return _read_refusal(reply)
            if reply is not None and reply.status_code not in _PASSING:
                raise ServiceUnavailable(f"the service answers {reply.status_code}")
            wait = min(_retry_after(reply), _LONGEST_WAIT_S)
            if time.monotonic() + wait >= until:
                raise ServiceUnavailable("the service is busy or away")
            time.sleep(wait)

    def model(self, answer: Answer, *, until: float) -> Model:
        """The checkpoint that gave `answer`; asked for once a checkpoint."""
        known = self._models.get(answer.sha256)
        if known is None:
            known = self._read_model(answer, until)
            self._models = {answer.sha256: known}
        return known

    def _read_model(self, answer: Answer, until: float) -> Model:
        try:
            reply = self._http.get("model", timeout=_left(until))
            document = reply.raise_for_status().json()
            caveats = tuple(map(str, document.get("caveats") or ()))
            sha256 = str(document["sha256"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServiceUnavailable("the service does not describe its model") from error
        if sha256 != answer.sha256:  # another replica, or reloaded since
            caveats = ()
        return Model(answer.model_name, answer.sha256, caveats)

    def _post(self, film: bytes, parameters: dict[str, str], until: float) -> httpx.Response | None:
        """The service's reply; None where no whole one came."""
        try:
            return self._http.post(
                "predict",
                params=parameters,
                content=film,
                headers={"Content-Type": "application/dicom"},
                timeout=_left(until),
            )
        except httpx.HTTPError:
            return None


def _left(until: float) -> float:
    return max(0.1, until - time.monotonic())


def _retry_after(reply: httpx.Response | None) -> float:
    if reply is None:
        return 1.0
    value = reply.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 1.0


def _read_answer(reply: httpx.Response) -> Answer:
    try:
        body: dict[str, Any] = reply.json()
        heat_map = body.get("heatmap")
        probabilities = {str(name): float(p) for name, p in body["probabilities"].items()}
        return Answer(
            probabilities=probabilities,
            prediction_set=tuple(name for name in probabilities if name in body["prediction_set"]),
            label=str(body["label"]),
            warnings=tuple(map(str, body["warnings"])),
            model_name=str(body["model"]["name"]),
            sha256=str(body["model"]["sha256"]),
            heat_map=b64decode(heat_map.partition(",")[2]) if heat_map else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServiceUnavailable("the service answers what is no prediction") from error


def _read_refusal(reply: httpx.Response) -> Refusal:
    try:
        body = reply.json()
        return Refusal(str(body["title"]), str(body["detail"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceUnavailable("the service refuses without saying why") from error
