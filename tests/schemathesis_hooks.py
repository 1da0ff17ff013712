"""What schemathesis sends where the description asks for a picture: drawn ones, and broken ones."""

from __future__ import annotations

import numpy as np
import schemathesis
from hypothesis import strategies

from app.xray.image_types import DICOM, JPEG, PNG
from benchmarks.rig.corpus.dicoms import write_dicom
from benchmarks.rig.corpus.drawing import draw_radiograph, encode

_RADIOGRAPH = draw_radiograph()
_SOUND = {
    PNG.media_type: encode(_RADIOGRAPH),
    JPEG.media_type: encode(_RADIOGRAPH, "JPEG"),
    DICOM.media_type: write_dicom(np.asarray(_RADIOGRAPH)),
    "application/octet-stream": encode(_RADIOGRAPH),
}
for media_type, data in _SOUND.items():
    schemathesis.openapi.media_type(
        media_type,
        strategies.just(data)
        | strategies.integers(0, len(data)).map(lambda kept, data=data: data[:kept])
        | strategies.binary(max_size=1000),
    )
