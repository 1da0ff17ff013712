"""A live server process, as `make serve` starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
START_LIMIT_S = 300


def run_app(*arguments: str, **settings: str) -> subprocess.Popen[str]:
    """`python -m app` with `settings` as CXR_ variables; its log is on `stderr`."""
    return subprocess.Popen(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env={**os.environ, **{f"CXR_{name.upper()}": value for name, value in settings.items()}},
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def served(model: Path, **settings: str) -> Iterator[httpx.Client]:
    """A client of a server that is ready, with `model` loaded."""
    with live(model, drain_s="0", **settings) as (client, _):
        yield client


def port_of(process: subprocess.Popen[Any]) -> int:
    """Where a server that was given port 0 listens; waits until it does, or has ended."""

    def listening() -> list[int]:
        connections = psutil.Process(process.pid).net_connections("tcp")
        return [each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN]

    ports = wait_until(lambda: process.poll() is not None or listening(), limit_s=START_LIMIT_S)
    assert process.poll() is None, f"it ended: {process.communicate()[1]}"
    port: int = ports[0]
    return port


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 that is given to nobody who asks for any, until the block ends.

    A socket that never listens is bound to it. Linux lets a server of ours listen there all the
    same, as both sockets let the address be reused; elsewhere the port is let go at once.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        if sys.platform != "linux":
            holder.close()
        yield port


@contextmanager
def live(
    model: Path, *, port: int | None = None, **settings: str
) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A client of a server that is ready, with `model` loaded, and the server's process."""
    process = run_app("--port", str(port or 0), model_path=str(model), **settings)
    try:
        port = port or port_of(process)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            _wait_until_ready(client, process)
            yield client, process
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=30)


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[str]) -> None:
    def is_over() -> bool:
        with suppress(httpx.TransportError):
            return client.get("/health/ready").status_code == 200 or process.poll() is not None
        return process.poll() is not None

    try:
        wait_until(is_over, limit_s=START_LIMIT_S)
        assert process.poll() is None
    except (AssertionError, TimeoutError):
        process.kill()
        raise AssertionError(f"not ready: {process.communicate()[1]}") from None


@contextmanager
def upload_under_way(client: httpx.Client, data: bytes) -> Iterator[socket.socket]:
    """A connection on which the server has asked for `data` and has the first 100 bytes of it."""
    with socket.create_connection(address_of(client), timeout=30) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: %d\r\n\r\n" % len(data)
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(data[:100])
        yield connection


def address_of(client: httpx.Client) -> tuple[str, int]:
    return client.base_url.host, client.base_url.port or 0


def takes_nobody(client: httpx.Client) -> bool:
    """Whether the server of `client` has ceased to listen."""
    try:
        socket.create_connection(address_of(client), timeout=30).close()
    except ConnectionRefusedError:
        return True
    return False


def is_draining(client: httpx.Client) -> httpx.Response | None:
    """What /health says of it, as soon as it says so."""
    answer = client.get("/health")
    return answer if answer.status_code == 503 else None
