"""The server: a socket on the loopback interface, a temporary folder for uploads, and Gradio kept off the network."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

from audiofw.errors import ConfigError
from audiofw.serve.service import Service
from audiofw.system.scratch import scratch_folder

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
"""Settings that prevent network requests by Gradio and its dependencies."""

PATIENCE = 1  # seconds to wait for open requests at the end: an open page always has one


def serve(service: Service, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve the page and the endpoint until Ctrl-C; prints the address to stdout.

    Parameters
    ----------
    service : Service
    host : str
        Name or address to listen on.
    port : int
        0 chooses a free one.

    Raises
    ------
    ConfigError
        If the host or port is not available, or Gradio is not installed.
    """
    with quiet_gradio(), _listening(host, port) as listening:
        app = make_app(service, host)
        service.warm()
        if not is_loopback(host):
            log.warning("anyone who can reach %s can use this page", host)
        sys.stdout.write(f"{_address(host, listening.getsockname()[1])}\n")
        sys.stdout.flush()
        _run(app, listening)


def make_app(service: Service, host: str = "127.0.0.1") -> FastAPI:
    """Create the whole application, page and endpoint.

    Raises
    ------
    ConfigError
        If Gradio is not installed.
    """
    try:
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        from audiofw.serve.endpoint import make_endpoint
        from audiofw.serve.page import mount_page
    except ImportError as error:
        raise ConfigError('audiofw serve needs Gradio: pip install "audiofw[serve]"') from error
    app = mount_page(make_endpoint(service), service)
    if is_loopback(host):  # other websites must not reach this one by a host name that resolves to it
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]", host])
    return app


@contextmanager
def quiet_gradio() -> Iterator[None]:
    """Keep Gradio off the network, and its uploads in a temporary folder."""
    before = dict(os.environ)
    with scratch_folder("audiofw-serve-") as folder:
        os.environ |= {**QUIET, "GRADIO_TEMP_DIR": str(folder)}
        try:
            yield
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

    # uvicorn raises the signal again at its end, but the upload folder must still be deleted
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=PATIENCE))
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    finally:
        signal.signal(signal.SIGTERM, before)
