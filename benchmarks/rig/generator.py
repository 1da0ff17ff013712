"""Load from a process of its own: closed loops, and open ones that keep to their schedule."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import time
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import uvloop

from benchmarks.rig.client import Client, Exchange, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

START_LIMIT_S = 60
FILLING_S = 1
ANSWER_LIMIT_S = 35
"""For what is under way when the sending ends; longer than a server gives a request."""


class Lane(NamedTuple):
    """Requests of one kind, over some connections of their own.

    `requests` makes the iterator that they are taken from, in the process that sends them. With
    `per_s` all connections together send so many a second: each has its schedule, sends at once
    when it is late, and never before its last request has ended. Without, each sends as soon as
    it is answered.
    """

    requests: Callable[[], Iterator[Request]]
    connections: int = 1
    per_s: float | None = None


class Load(NamedTuple):
    """What clients saw between `begun_at` and `ended_at`, when the sending ended."""

    exchanges: list[Exchange]
    begun_at: float
    ended_at: float
    cpu_s: float
    """Of the process that sent."""

    @property
    def seconds(self) -> float:
        """How long it was sent for."""
        return self.ended_at - self.begun_at

    def named(self, name: str) -> list[Exchange]:
        """The exchanges of one kind."""
        return [exchange for exchange in self.exchanges if exchange.name == name]

    def answered_per_s(self, name: str) -> float:
        """Requests of one kind answered with 200 a second, of a load longer than `FILLING_S`.

        The first second, in which queues fill, is left out: what waits at the end would be missed.
        """
        begin = self.begun_at + FILLING_S
        done = [e for e in self.named(name) if e.status == 200]
        return sum(begin < e.ended_at <= self.ended_at for e in done) / (self.ended_at - begin)


def always(request: Request) -> Callable[[], Iterator[Request]]:
    """The same request without end."""
    return partial(itertools.repeat, request)


class Generator:
    """Load on a port of this machine, from the start until `seconds` are over or it is told."""

    def __init__(self, port: int, lanes: list[Lane], *, seconds: float) -> None:
        context = get_context("spawn")
        self._pipe, far_end = context.Pipe()
        self._limit_s = seconds + ANSWER_LIMIT_S + START_LIMIT_S
        self._process = context.Process(
            target=_work, args=(far_end, port, lanes, seconds), daemon=True
        )
        self._process.start()
        far_end.close()
        self._receive(START_LIMIT_S)

    def __enter__(self) -> Self:
        """Sending has begun."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.join()

    def wait(self) -> Load:
        """What came of it, when its seconds are over, or it has nothing left to send."""
        load: Load = self._receive(self._limit_s)
        return load

    def finish(self) -> Load:
        """What came of it until now; what is under way is waited for."""
        self._pipe.send(None)
        return self.wait()

    def _receive(self, limit_s: float) -> Any:
        if not self._pipe.poll(limit_s):
            raise TimeoutError("the generator of load does not answer")
        return self._pipe.recv()


def put_load(port: int, lanes: list[Lane], *, seconds: float) -> Load:
    """Load for so many seconds."""
    with Generator(port, lanes, seconds=seconds) as generator:
        return generator.wait()


def _work(pipe: Connection, port: int, lanes: list[Lane], seconds: float) -> None:
    gc.disable()  # a pause of its own would look like one of the server's; it does not live long
    load = uvloop.run(_offer(pipe, port, lanes, seconds))
    os.set_blocking(pipe.fileno(), True)  # the loop, which watched it, has changed that
    pipe.send(load)


async def _offer(pipe: Connection, port: int, lanes: list[Lane], seconds: float) -> Load:
    exchanges: list[Exchange] = []
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    prepared = []
    for lane in lanes:
        requests = lane.requests()
        for number in range(lane.connections):
            client = Client(port)
            await client.connect()
            period = lane.connections / lane.per_s if lane.per_s else 0.0
            delay = period * number / lane.connections
            prepared.append((client, requests, period, delay))
    begun_at, cpu_before = time.monotonic(), time.process_time()
    pipe.send(begun_at)
    tasks = [
        asyncio.create_task(_send(client, requests, period, begun_at + delay, stop, exchanges))
        for client, requests, period, delay in prepared
    ]
    loop.add_reader(pipe.fileno(), stop.set)
    timer = loop.call_later(seconds, stop.set)
    stopped = asyncio.create_task(stop.wait())
    sending = asyncio.ensure_future(asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION))
    await asyncio.wait({stopped, sending}, return_when=asyncio.FIRST_COMPLETED)
    ended_at, cpu_s = time.monotonic(), time.process_time() - cpu_before
    loop.remove_reader(pipe.fileno())
    timer.cancel()
    stopped.cancel()
    stop.set()
    await asyncio.wait(tasks, timeout=ANSWER_LIMIT_S)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()
    for client, *_ in prepared:
        client.close()
    return Load(exchanges, begun_at, ended_at, cpu_s)


async def _send(
    client: Client,
    requests: Iterator[Request],
    period: float,
    due: float,
    stop: asyncio.Event,
    exchanges: list[Exchange],
) -> None:
    """One connection's work; a period of 0 is a closed loop."""
    while not stop.is_set():
        if period:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += period
            if stop.is_set():
                return
        request = next(requests, None)
        if request is None:
            return
        exchange = await client.ask(request)
        exchanges.append(exchange)
        if exchange.error and not period:
            await asyncio.sleep(0.01)  # nobody may be there: a closed loop must not spin
