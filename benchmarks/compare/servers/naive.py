"""The service that everyone writes: an async handler that calls `model.predict`.

Run as `python -m benchmarks.compare.servers.naive MODEL PORT`.
"""

from __future__ import annotations

import io
import sys

import keras
import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image

CLASSES = ("COVID", "NORMAL", "PNEUMONIA")

app = FastAPI()
model = keras.models.load_model(sys.argv[1], compile=False)


@app.post("/predict")
async def predict(file: UploadFile) -> dict[str, float]:
    """Class probabilities of an uploaded picture."""
    image = Image.open(io.BytesIO(await file.read())).convert("RGB").resize((224, 224), 0)
    batch = np.asarray(image, dtype=np.float32)[None] / 255
    return dict(zip(CLASSES, model.predict(batch, verbose=0)[0].tolist(), strict=True))


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
