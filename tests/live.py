"""A live server process, as `make serve` starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
START_LIMIT_S = 120


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


def free_port() -> int:
    """One on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
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
    with nullcontext(port) if port else reserved_port() as port:
        process = run_app("--port", str(port), model_path=str(model), **settings)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                _wait_until_ready(client, process)
                yield client, process
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=30)


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"not ready: {process.communicate()[1]}")
