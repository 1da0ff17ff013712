"""What the process that reads a checkpoint hands to the one that serves it: data alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from app.xray.grad_cam.head import Head

Layout = Literal["channels first", "channels last"]

INPUT: Final = "picture"
OUTPUTS: Final = ("probabilities", "feature_map", "pooled")
"""Names of a graph's results, as `app.xray.network.expose_features` has them; the last two only
where the network has a map."""


class Graph(NamedTuple):
    """A network for one picture: float32 (1, height, width, channels) in, `OUTPUTS` out.

    In either layout pictures and maps go in and come out with their channels last.
    """

    structure: bytes
    """OpenVINO's intermediate representation: XML."""
    weights: bytes
    layout: Layout
    """How the layers within are laid out."""
    layout_reason: str | None
    """Why it is not "channels first"; None where it is."""
    layers: tuple[str, ...]
    """Layers, in order, before which the graph may be cut; see `app.xray.graph.cut`."""
    head: Head | None
    """What follows the last map; None where Grad-CAM cannot differentiate it."""
    not_explainable: str | None
    """Why there is no head."""
    layouts_differ: float | None
    """The largest difference between the probabilities of the two layouts, over the probe pictures;
    None where there is one alone."""


def cut_name(index: int) -> str:
    """The name of the tensor that goes into layer `index` of a graph's `layers`."""
    return f"cut/{index}"
