"""The server: a socket, a temporary folder for uploads, limits on clients, and Gradio kept off the network."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from audiofw.errors import ConfigError, printable
from audiofw.serve.service import Service
from audiofw.serve.stopping import ended_in_time
from audiofw.system.scratch import scratch_folder

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)

UVICORN = logging.getLogger("uvicorn.error")  # its name for all but the access log

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
"""Settings that prevent network requests by Gradio and its dependencies."""

PATIENCE = 1  # seconds to wait for open requests at the end: an open page always has one
MOST_CONNECTIONS = 256  # an open page holds two or three


def serve(
    service: Service,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    public: Collection[str] = (),
    log_access: Callable[[str], object] | None = None,
) -> None:
    """Serve the page and the endpoint until Ctrl-C; prints the address to stdout.

    Parameters
    ----------
    service : Service
    host : str
        Name or address to listen on.
    port : int
        0 chooses a free one.
    public : collection of str
        Further names under which the server is reached, such as that of a proxy.
    log_access : callable, optional
        Takes a line for each request.

    Raises
    ------
    ConfigError
        If the host or port is not available, or Gradio is not installed.
    """
    with quiet_gradio() as folder, _listening(host, port) as listening:
        app = make_app(service, host, folder, public=public, log_access=log_access)
        service.warm()
        _warn_of_audit(service)
        if not is_loopback(host):
            log.warning("anyone who can reach %s can use this page", host)
        sys.stdout.write(f"{_address(host, listening.getsockname()[1])}\n")
        sys.stdout.flush()
        with ended_in_time(folder), closing(service.turns):
            _run(app, listening)


def _warn_of_audit(service: Service) -> None:
    for warning in service.audit_warnings or ():
        log.warning("the model's score carries an audit warning: %s", printable(warning))


def make_app(
    service: Service,
    host: str = "127.0.0.1",
    folder: Path | None = None,
    *,
    public: Collection[str] = (),
    log_access: Callable[[str], object] | None = None,
) -> FastAPI:
    """Create the whole application, page and endpoint, with what guards them.

    Parameters
    ----------
    service : Service
    host : str
        Where it will listen.
    folder : Path, optional
        For uploads; by default ``TMPDIR``.
    public, log_access
        See `serve`.

    Raises
    ------
    ConfigError
        If Gradio is not installed.
    """
    try:
        from audiofw.serve.access import AccessLog
        from audiofw.serve.endpoint import make_endpoint
        from audiofw.serve.guard import SameSite, names_of_this_machine
        from audiofw.serve.page import mount_page
        from audiofw.serve.uploads import Uploads
    except ImportError as error:
        raise ConfigError('audiofw serve needs Gradio: pip install "audiofw[serve]"') from error
    app = mount_page(make_endpoint(service, folder), service)
    app.add_middleware(Uploads, seconds=service.limits.patience, folder=folder)
    names = {host} if is_loopback(host) else {host, *names_of_this_machine()}
    app.add_middleware(SameSite, names=names, public=public)
    if log_access:
        app.add_middleware(AccessLog, write=log_access)  # the last one is called first
    return app


@contextmanager
def quiet_gradio() -> Iterator[Path]:
    """Keep Gradio off the network, and its uploads in a temporary folder."""
    before = dict(os.environ)
    with scratch_folder("audiofw-serve-") as folder:
        os.environ |= {**QUIET, "GRADIO_TEMP_DIR": str(folder)}
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ |= before


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0  # negative for an unknown host name
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error).rstrip(".")
        where, remedy = (f"{host}, port {port}", "; without --port, a free one is chosen") if port else (host, "")
        raise ConfigError(f"cannot listen on {where}: {reason}{remedy}") from error
    with listening:
        yield listening


def is_loopback(host: str) -> bool:
    """Check whether an address can only be reached from this machine."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _run(app: FastAPI, listening: socket.socket) -> None:
    import uvicorn

    from audiofw.serve.protocol import ImpatientProtocol

    # uvicorn raises the signal again at its end, but the upload folder must still be deleted
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    UVICORN.addFilter(_is_no_stop)
    try:
        config = uvicorn.Config(
            app,
            http=ImpatientProtocol,
            ws="none",
            log_config=None,
            log_level="warning",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=PATIENCE,
        )
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        UVICORN.removeFilter(_is_no_stop)
        signal.signal(signal.SIGTERM, before)


def _is_no_stop(record: logging.LogRecord) -> bool:
    """Whether a message does not only say that a request was open at the end: an open page always has one."""
    cancelled = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cancelled and "timeout graceful shutdown exceeded" not in record.getMessage()
