"""One table: what became of a film -> the status that its sender is answered with."""

from __future__ import annotations

from typing import Final, NamedTuple

from pydicom import Dataset

_LONGEST_COMMENT: Final = 64


class Outcome(NamedTuple):
    """What became of a film: its name in metrics, and its DIMSE status (PS3.4 B.2.3)."""

    name: str
    status: int
    comment: str = ""

    def dataset(self) -> Dataset:
        """The response of a C-STORE with this outcome."""
        answer = Dataset()
        answer.Status = self.status
        if self.comment:
            answer.ErrorComment = self.comment[:_LONGEST_COMMENT]
        return answer


REPORTED: Final = Outcome("reported", 0x0000)
REFUSAL_REPORTED: Final = Outcome("refusal-reported", 0x0000)
DRAINING: Final = Outcome("draining", 0xA700, "The node is being stopped; send again")
SERVICE_AWAY: Final = Outcome("service-away", 0xA700, "The service is busy or away; send again")
NOT_DELIVERED: Final = Outcome(
    "not-delivered", 0xA700, "The destination takes no report now; send again"
)
TOO_LARGE: Final = Outcome("too-large", 0xA702, "The film is larger than this node takes")
WRONG_CLASS: Final = Outcome("wrong-class", 0xA900, "The data set is of another SOP class")
UNREADABLE: Final = Outcome("unreadable", 0xC000, "The data set cannot be understood")
REFUSED: Final = Outcome("refused", 0xC001, "The service does not answer for this film")
OWN_WORK: Final = Outcome("own-work", 0xC003, "The node made this itself: it is no film")
FAULT: Final = Outcome("fault", 0xC002, "A fault of the node; its log has it")

OUTCOMES: Final = (
    REPORTED,
    REFUSAL_REPORTED,
    DRAINING,
    SERVICE_AWAY,
    NOT_DELIVERED,
    TOO_LARGE,
    WRONG_CLASS,
    UNREADABLE,
    REFUSED,
    OWN_WORK,
    FAULT,
)
