"""The road of one film: its header, the service's answer, the report, the destination."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from app.pacs import status
from app.pacs.destination import NotDelivered
from app.pacs.film import UnreadableFilm, read_header
from app.pacs.heat_map import capture_of
from app.pacs.report import MANUFACTURER, report_of_answer, report_of_refusal
from app.pacs.service import Refusal, ServiceUnavailable

if TYPE_CHECKING:
    from pydicom import Dataset

    from app.pacs.destination import Destination
    from app.pacs.service import ServiceClient
    from app.pacs.settings import PacsSettings
    from app.pacs.status import Outcome

log = logging.getLogger(__name__)


class Film(NamedTuple):
    """A film as its sender gave it: a DICOM file, and the SOP class that it was announced as."""

    data: bytes
    sop_class: str


class Reporter:
    """Turns films into reports at the destination, and says what became of each."""

    def __init__(
        self,
        settings: PacsSettings,
        service: ServiceClient,
        destination: Destination,
        *,
        version: str,
    ) -> None:
        self._settings = settings
        self._service = service
        self._destination = destination
        self._version = version

    def report(self, film: Film) -> Outcome:
        """What became of `film`; success only once its report was accepted."""
        until = time.monotonic() + self._settings.pacs_timeout_s
        if len(film.data) > self._settings.max_film_bytes:
            return status.TOO_LARGE
        try:
            header = read_header(film.data)
        except UnreadableFilm as error:
            return status.UNREADABLE._replace(comment=f"Cannot be understood: {error}")
        if str(header.SOPClassUID) != film.sop_class:
            return status.WRONG_CLASS
        if header.get("Manufacturer") == MANUFACTURER:  # an archive that routes all that it gets
            return status.OWN_WORK
        try:
            return self._answer(header, film, until)
        except ServiceUnavailable as error:
            log.warning("no answer of the service: %s", error)
            return status.SERVICE_AWAY
        except NotDelivered as error:
            log.warning("a report was not delivered: %s", error)
            return status.NOT_DELIVERED

    def _answer(self, header: Dataset, film: Film, until: float) -> Outcome:
        answer = self._service.ask(film.data, until=until)
        if isinstance(answer, Refusal):
            if not self._settings.pacs_report_refusals:
                return status.REFUSED._replace(comment=answer.title)
            report = report_of_refusal(header, answer, version=self._version)
            self._destination.send([report], until=until)
            return status.REFUSAL_REPORTED
        model = self._service.model(answer, until=until)
        documents = [report_of_answer(header, answer, model, version=self._version)]
        if answer.heat_map:
            documents.append(
                capture_of(
                    header,
                    answer.heat_map,
                    label=answer.label,
                    sha256=answer.sha256,
                    version=self._version,
                )
            )
        self._destination.send(documents, until=until)
        return status.REPORTED
