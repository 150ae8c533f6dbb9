"""The server: a socket on loopback, a folder for uploads that goes with it, and Gradio kept quiet."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

from audiofw.errors import ConfigError
from audiofw.serve.service import Listener

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)

QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
"""What keeps Gradio, and what it brings, from calling home."""

PATIENCE = 1  # seconds for open requests at the end: a page keeps one open for as long as it is looked at


def serve(listener: Listener, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve the page and the endpoint until Ctrl-C; the address is written to stdout.

    Parameters
    ----------
    listener : Listener
    host : str
        Name or address to listen at.
    port : int
        0 takes a free one.

    Raises
    ------
    ConfigError
        For a host or port that cannot be had, or without Gradio.
    """
    with quiet_gradio(), _listening(host, port) as listening:
        app = make_app(listener, host)
        listener.warm()
        if not is_loopback(host):
            log.warning("whoever reaches %s can use this page", host)
        sys.stdout.write(f"{_address(host, listening.getsockname()[1])}\n")
        sys.stdout.flush()
        _run(app, listening)


def make_app(listener: Listener, host: str = "127.0.0.1") -> FastAPI:
    """Make the whole application, page and endpoint.

    Raises
    ------
    ConfigError
        Without Gradio.
    """
    try:
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        from audiofw.serve.endpoint import make_endpoint
        from audiofw.serve.page import mount_page
    except ImportError as error:
        raise ConfigError('audiofw serve needs Gradio: pip install "audiofw[serve]"') from error
    app = mount_page(make_endpoint(listener), listener)
    if is_loopback(host):  # a page elsewhere must not reach this one by a name that leads here
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]", host])
    return app


@contextmanager
def quiet_gradio() -> Iterator[None]:
    """Keep Gradio off the network, and its uploads in a folder that is deleted at the end."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="audiofw-serve-", ignore_cleanup_errors=True) as folder:
        os.environ |= {**QUIET, "GRADIO_TEMP_DIR": folder}
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
        number = getattr(error, "errno", None) or 0  # negative for a name that is not known
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error).rstrip(".")
        where, remedy = (f"{host}, port {port}", "; without --port a free one is taken") if port else (host, "")
        raise ConfigError(f"cannot listen at {where}: {reason}{remedy}") from error
    with listening:
        yield listening


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach an address."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _run(app: FastAPI, listening: socket.socket) -> None:
    import uvicorn

    # uvicorn ends by raising the signal again, which must not keep the uploads' folder from being deleted
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=PATIENCE))
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    finally:
        signal.signal(signal.SIGTERM, before)
