"""`python -m app.pacs`: settings to a node that listens until a signal."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING

from app.pacs.destination import destination_of
from app.pacs.node import Node
from app.pacs.reporter import Reporter
from app.pacs.service import ServiceClient
from app.pacs.settings import PacsSettings, read_pacs_settings
from app.pacs.watch import Watch
from app.runtime.children import leave_no_core
from app.runtime.listening import listen
from app.runtime.logs import set_up_logs, write_out
from app.settings import VERSION
from app.xray.errors import CxrError

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger("app.pacs")

EXIT_UNANSWERED = 1
EXIT_OPERATOR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Take films until a signal; 2 where settings forbid it, 1 where films were left unanswered."""
    parser = argparse.ArgumentParser(
        prog="python -m app.pacs",
        description="A DICOM node: films in by C-STORE, structured reports out.",
        epilog="Settings are CXR_PACS_ environment variables; docs/pacs.md has the list.",
    )
    parser.add_argument("--version", action="version", version=f"cxr-inference {VERSION}")
    parser.parse_args(arguments)
    try:
        return run(read_pacs_settings())
    except CxrError as error:
        logging.shutdown()
        write_out(f"error: {error}\n")
        return EXIT_OPERATOR


def hush_libraries() -> None:
    """Have other libraries log and warn of nothing: what they say may hold values of elements."""
    for name in ("pynetdicom", "pydicom", "highdicom", "dicomweb_client", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=name)


def run(settings: PacsSettings) -> int:
    """Serve by `settings` until SIGTERM or SIGINT; 0, or 1 where films were left unanswered.

    Raises:
        SettingsError: an address cannot be listened on, or a certificate does not fit its key.
    """
    leave_no_core()
    set_up_logs(settings.log_level, as_json=settings.log_json)
    hush_libraries()
    is_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_to_end.set())

    service = ServiceClient(settings, version=VERSION)
    watch = Watch(version=VERSION, is_service_ready=service.is_ready)
    destination = destination_of(settings)
    reporter = Reporter(settings, service, destination, version=VERSION)
    node = Node(settings, reporter, watch)
    listener = listen(
        settings.pacs_host,
        settings.pacs_health_port,
        host_setting="CXR_PACS_HOST",
        port_setting="CXR_PACS_HEALTH_PORT",
    )
    node.start()
    end_watch = watch.serve(listener)
    log.info("AE %s on %s:%d", settings.pacs_ae_title, *node.address)
    log.info("health on http://%s:%d", *listener.getsockname()[:2])
    if not settings.pacs_calling:
        log.warning("CXR_PACS_CALLING is empty: any application entity may send")

    is_to_end.wait()
    watch.state = "draining"
    log.info("draining: films under way are finished, associations are refused")
    is_done = node.drain()
    node.close()
    end_watch()
    service.close()
    destination.close()
    if not is_done:
        log.warning("ended with films under way; their senders will send them again")
    return 0 if is_done else EXIT_UNANSWERED


if __name__ == "__main__":
    sys.exit(main())
