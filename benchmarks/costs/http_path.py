"""`python -m benchmarks.costs.http_path`: what form, validation, JSON and log cost a request.

The whole application is called as its server calls it, in this process; the model answers at once.
What the pipeline takes for the same picture is measured in turn and taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import uvloop

from app.inference.classifier import Classifier
from app.inference.engines.engine import Batching, Output
from app.main import create_app
from app.settings import Settings, read_settings
from app.xray.checkpoint import read_checkpoint
from benchmarks.report import Report
from benchmarks.rig.pictures import BOUNDARY, form, gray_jpeg

if TYPE_CHECKING:
    from fastapi import FastAPI

SIDES = (512, 1024, 2048)
CHUNK_BYTES = 65_536
CALLS = 100


class NoModel:
    """Answers before it is asked."""

    name, device, precision, batching = "none", "cpu", "f32", Batching()
    layout = held_against = largest_difference = None

    def predict(self, batch: Any, *, with_features: bool = False) -> Output:  # noqa: ARG002
        """The same for every picture."""
        return Output(np.full((len(batch), 3), 1 / 3, np.float32))


def load(settings: Settings) -> Classifier:
    """The checkpoint's contract without its network."""
    return Classifier(read_checkpoint(settings.model_path), NoModel())


async def post(app: FastAPI, body: bytes) -> None:
    """One request, in chunks as they come from a socket."""
    chunks = [body[i : i + CHUNK_BYTES] for i in range(0, len(body), CHUNK_BYTES)]
    messages = iter(
        {"type": "http.request", "body": chunk, "more_body": chunk is not chunks[-1]}
        for chunk in chunks
    )
    statuses = []

    async def receive() -> dict[str, Any]:
        return next(messages, None) or await asyncio.Future()

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    content_type = f"multipart/form-data; boundary={BOUNDARY}".encode()
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/predict",
        "query_string": b"", "headers": [(b"content-type", content_type)],
    }  # fmt: skip
    await app(scope, receive, send)
    if statuses[0] != 200:
        raise RuntimeError(f"status {statuses[0]}")


def write_the_log_to_nowhere() -> None:
    """As in service, but for nobody to see."""
    handler = logging.StreamHandler(Path(os.devnull).open("w"))  # noqa: SIM115
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(name)s: %(message)s"))
    logging.getLogger("app").addHandler(handler)
    logging.getLogger("app").setLevel("INFO")


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.costs.http_path", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    write_the_log_to_nowhere()
    rows = uvloop.run(measure(options.rounds))
    report = Report("http_path", f"medians of {options.rounds} rounds of {CALLS} requests.")
    report.add_table(("picture", "kB", "CPU ms a request, beside the pipeline"), rows)
    report.conclude()


async def measure(rounds: int) -> list[tuple[str, float, float]]:
    """A row for each size."""
    rows = []
    app = create_app(read_settings(ood="off"), load=load)
    async with app.router.lifespan_context(app):
        while app.state.service.status == "loading":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        pipeline = app.state.service.pipeline
        for side in SIDES:
            picture = gray_jpeg(side, side)
            body, rests = form(picture), []
            for _ in range(rounds):
                start = time.process_time()
                for _ in range(CALLS):
                    await post(app, body)
                middle = time.process_time()
                for _ in range(CALLS):
                    await pipeline.classify(picture)
                end = time.process_time()
                rests.append(((middle - start) - (end - middle)) / CALLS * 1000)
            rows.append((f"{side} x {side}", len(body) / 1000, statistics.median(rests)))
    return rows


if __name__ == "__main__":
    main()
