"""`python -m app`: serve with our settings; `python -m app sample OUT.png`: draw a film."""

from __future__ import annotations

import argparse
import logging
import sys
import threading
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from app.inference.loading import load_by
from app.inference.reader import Reader
from app.inference.sample import draw_sample
from app.runtime.children import end_children, give_memory_back, leave_no_core
from app.runtime.logs import set_up_logs, write_out
from app.settings import VERSION, Settings, read_settings, unknown_variables
from app.xray.errors import CheckpointError, CxrError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.inference.lifecycle import Service

log = logging.getLogger("app")

EXIT_BUG = 1
EXIT_OPERATOR = 2
EXIT_INTERRUPTED = 130

_GRACE_S = 5.0

_HINT = """
Name another checkpoint in CXR_MODEL_PATH, or train one: python -m training fit --help"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; 2 where settings or checkpoint forbid it, 1 for a bug."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Serve the checkpoint.")
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "sample"),
        default="serve",
        help="serve (the default), or draw a chest X-ray to try the service with",
    )
    parser.add_argument("out", nargs="?", type=Path, help="of `sample`: the PNG file to write")
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument("--host", help="address to listen on (CXR_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (CXR_PORT, 8000)")
    flags = {
        name: value
        for name, value in vars(parser.parse_args(arguments)).items()
        if value is not None
    }
    out = flags.pop("out", None)
    if (flags.pop("command") == "sample") != (out is not None):
        parser.error("`sample`, and nothing else, takes the name of a file: sample OUT.png")
    if out is not None:
        return _draw(out)
    settings = None
    try:
        settings = read_settings(**flags)
        return _serve(settings)
    except CxrError as error:
        _say_last(error, as_json=settings is not None and settings.log_json)
        return EXIT_OPERATOR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        end_children()  # which work for nobody any more


def _serve(settings: Settings) -> int:
    leave_no_core()
    give_memory_back()
    _set_up(settings)
    reader = Reader()
    if settings.engine != "tensorflow":
        reader.start()

    # While that process starts, this one imports what serves.
    from app.main import create_app
    from app.server.serve import Server, listen

    listener = listen(settings)
    host, port = listener.getsockname()[:2]
    log.info("listening on http://%s:%s", host, port)
    if not (settings.needs_key or ip_address(host).is_loopback):
        log.warning("whoever reaches %s may ask: neither CXR_API_KEYS nor its file is set", host)
    app = create_app(settings, load=load_by(reader))
    service: Service = app.state.service
    Server(app, service, settings).run([listener])
    if isinstance(service.failure, CxrError):
        raise service.failure
    return 0 if service.failure is None else EXIT_BUG


def _draw(path: Path) -> int:
    try:
        draw_sample().save(path, "PNG")
    except OSError as error:
        write_out(f"error: {path}: cannot be written: {error.strerror or error}\n")
        return EXIT_OPERATOR
    return 0


def _set_up(settings: Settings) -> None:
    set_up_logs(settings.log_level, as_json=settings.log_json)
    for name in unknown_variables():
        log.warning("%s is no setting of this version; it is ignored", name)


def _say_last(error: CxrError, *, as_json: bool) -> None:
    """What has to be mended, after all lines of the log: for a person, or as one more of them."""
    words = f"{error}{_HINT if isinstance(error, CheckpointError) else ''}"
    if as_json:
        log.critical(words)
    logging.shutdown()
    if not as_json:
        write_out(f"error: {words}\n")


def _wait_for_threads() -> bool:
    """Give threads `_GRACE_S` to end; whether they have. A stuck one would hold up the exit."""
    until = time.monotonic() + _GRACE_S
    others = [thread for thread in threading.enumerate() if not thread.daemon]
    others.remove(threading.main_thread())
    for thread in others:
        thread.join(max(0.0, until - time.monotonic()))
    return not any(thread.is_alive() for thread in others)


if __name__ == "__main__":
    exit_code = main()
    if not _wait_for_threads():
        from app.server.serve import end_now

        end_now(exit_code)
    sys.exit(exit_code)
