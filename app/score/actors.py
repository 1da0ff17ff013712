"""Rows of an archive from a Ray cluster, whose actors load the model once each."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, from_items
from ray.exceptions import RayError

import app
from app.inference.loading import load_classifier
from app.runtime.children import give_memory_back, leave_no_core
from app.runtime.devices import share_of_machine
from app.runtime.logs import hush_pillow
from app.score.scorer import Row, Scorer
from app.score.source import printable
from app.score.table import PART_ROWS, About, schema_of
from app.xray.errors import ScoringError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from app.settings import Settings

_ADDRESS: Final = "address"
"""As JSON: Ray's columns hold UTF-8 alone, names of files any bytes."""
_CONNECT_LIMIT_S: Final = 5.0
_BLOCKS: Final = 10_000
"""Into which the list is divided at most: each costs Ray's scheduler some work."""


def score_on_ray(
    cluster: str, settings: Settings, about: About, addresses: Iterable[str]
) -> Iterator[Row]:
    """A row for each picture, in order, from the cluster at an address as `ray.init` takes it.

    Each actor has a CPU, or with `settings.device` "gpu" a GPU, and reads the pictures itself. The
    checkpoint and the pictures have to be where `settings` and `addresses` say on every machine;
    the code comes from here.

    Raises:
        ScoringError: no cluster there, or what the actors ended with, a checkpoint with another
            digest than `about` has among it.
    """
    pictures = list(addresses)
    if not pictures:
        return
    # What is relative here is not so elsewhere.
    there = [{_ADDRESS: json.dumps(_absolute(address))} for address in pictures]
    settings = settings.model_copy(
        update={"model_path": settings.model_path.resolve(), "model_sha256": about.sha256}
    )
    gpus = 1 if settings.device == "gpu" else 0
    try:
        _connect(cluster)
        rows = from_items(
            there, override_num_blocks=min(_BLOCKS, -(-len(there) // PART_ROWS))
        ).map_batches(
            _Actor,
            fn_constructor_args=(settings, about),
            batch_size=PART_ROWS,
            compute=ActorPoolStrategy(min_size=1),
            num_cpus=1,
            num_gpus=gpus or None,
            runtime_env={"env_vars": share_of_machine(1, gpus)},
        )
        for address, row in zip(pictures, rows.iter_rows(), strict=True):
            if row["path"] != printable(_absolute(address)):
                raise RuntimeError("the rows came in another order than the pictures")
            found = {name: value for name, value in row.items() if value is not None}
            yield found | {"path": printable(address)}
    except (RayError, OSError, ValueError) as error:
        raise ScoringError(f"Ray at {cluster}: {error}") from error
    finally:
        ray.shutdown()


def _connect(cluster: str) -> None:
    host, _, port = cluster.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():  # Ray would try for minutes
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_LIMIT_S).close()
    ray.init(
        cluster,
        log_to_driver=False,
        logging_level="warning",
        runtime_env={"py_modules": [Path(app.__file__).parent]},
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # in the place of Ray's own
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


class _Actor:
    """A process of the cluster with a model in it."""

    def __init__(self, settings: Settings, about: About) -> None:
        leave_no_core()
        give_memory_back()
        hush_pillow()
        self._schema = schema_of(about)
        self._runner = asyncio.Runner()
        self._scorer = Scorer(load_classifier(settings), settings)

    def __call__(self, batch: dict[str, Any]) -> pa.Table:
        addresses = [json.loads(address) for address in batch[_ADDRESS].tolist()]
        rows = self._runner.run(self._score(addresses))
        return pa.Table.from_pylist(rows, self._schema)

    async def _score(self, addresses: list[str]) -> list[Row]:
        return [row async for row in self._scorer.score_all(addresses)]


def _absolute(address: str) -> str:
    return address if "://" in address else os.path.abspath(address)  # noqa: PTH100  # text
