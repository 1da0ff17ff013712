"""Is it a frontal chest X-ray at all?"""

from typing import Annotated

from pydantic import Field

from app.xray.gate.features import FeatureGate, summarise
from app.xray.gate.outlines import OutlineGate, RefusedShare
from app.xray.gate.packed import PackedArray
from app.xray.gate.verdict import Sight, Verdict, second_look

Gate = Annotated[FeatureGate | OutlineGate, Field(discriminator="method")]

__all__ = [
    "FeatureGate",
    "Gate",
    "OutlineGate",
    "PackedArray",
    "RefusedShare",
    "Sight",
    "Verdict",
    "second_look",
    "summarise",
]
