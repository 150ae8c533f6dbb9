"""The access log: one line for each request, in the Common Log Format, and how long it took."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from audiofw.errors import printable

log = logging.getLogger(__name__)

STDERR = "-"


class AccessLog:
    """Logs each request when it has been answered, or its client has gone.

    Parameters
    ----------
    app : ASGI application
    write : callable
        Takes a line.
    clock : callable
        Seconds, as `time.monotonic` gives them.
    """

    def __init__(self, app: Any, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._write, self._clock = app, write, clock

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, and log it at its end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, sent = self._clock(), {"status": 499, "bytes": 0}  # 499 as in nginx: the client has closed before

        async def counted(message: Any) -> None:
            sent["status"] = message.get("status", sent["status"])
            sent["bytes"] += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            self._write(_line(scope, sent["status"], sent["bytes"], self._clock() - began))


def _line(scope: Any, status: int, size: int, seconds: float) -> str:
    client = (scope.get("client") or ("-",))[0]
    query = scope["query_string"]
    target = (scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")
    now = datetime.now().astimezone().strftime("%d/%b/%Y:%H:%M:%S %z")
    request = printable(f"{scope['method']} {target} HTTP/{scope['http_version']}").replace('"', "%22")
    return f'{client} - - [{now}] "{request}" {status} {size} {seconds:.3f}'


@contextmanager
def opened_log(file: str | None) -> Iterator[Callable[[str], object] | None]:
    """Open a log file to append to, or stderr for ``-``; it may be moved away while it is written.

    Raises
    ------
    OSError
        If it cannot be opened.
    """
    if file is None:
        yield None
        return
    handler = logging.StreamHandler(sys.stderr) if file == STDERR else _Rotated(Path(file), encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    try:
        yield lambda line: handler.handle(logging.makeLogRecord({"msg": line}))
    finally:
        with suppress(OSError):  # of a full disk
            handler.close()


class _Rotated(WatchedFileHandler):
    """A log file that may fill a disk: one warning says so, and requests are answered all the same."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Warn once."""
        if not self._failed:
            log.warning("%s: the access log cannot be written: %s", self.baseFilename, sys.exc_info()[1])
        self._failed = True
