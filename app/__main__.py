"""`python -m app`: serve with our settings."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from typing import TYPE_CHECKING

from app.main import create_app
from app.server import Server, listen
from app.settings import Settings, read_settings, unknown_variables
from app.xray.errors import CheckpointError, CxrError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.service import Service

EXIT_BUG = 1
EXIT_OPERATOR = 2

_HINT = """
Name another checkpoint in CXR_MODEL_PATH, or train one: python -m training fit --help"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; 2 where settings or checkpoint do not allow it, 1 for a bug."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Serve the checkpoint.")
    parser.add_argument("--host", help="address to listen on (CXR_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (CXR_PORT, 8000)")
    flags = {
        name: value
        for name, value in vars(parser.parse_args(arguments)).items()
        if value is not None
    }
    try:
        settings = read_settings(**flags)
        listener = listen(settings)
    except SettingsError as error:
        return _refuse(str(error))
    _set_up_logs(settings)
    for name in unknown_variables():
        logging.getLogger("app").warning("%s is no setting of this version; it is ignored", name)
    host, port = listener.getsockname()[:2]
    logging.getLogger("app").info("listening on http://%s:%s", host, port)

    app = create_app(settings)
    service: Service = app.state.service
    Server(app, service, settings).run([listener])
    if service.failure is None:
        return 0
    if not isinstance(service.failure, CxrError):
        return EXIT_BUG
    hint = _HINT if isinstance(service.failure, CheckpointError) else ""
    return _refuse(f"{service.failure}{hint}")


def _set_up_logs(settings: Settings) -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)-8s %(name)s: %(message)s")
    for name in ("app", "uvicorn"):
        logging.getLogger(name).setLevel(settings.log_level.upper())
    # What these say holds bytes of an upload: metadata of a picture, parts of a form.
    for name in ("PIL", "python_multipart"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="PIL")


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201  # the last word, for a person
    return EXIT_OPERATOR


if __name__ == "__main__":
    sys.exit(main())
