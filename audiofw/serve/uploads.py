"""Limits of uploads in number and time: a few at once, and none that waits for a slow client for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

AT_ONCE = 16  # uploads that are received or answered; others wait, and what they send is not read
MOST_KEPT = 2**30  # bytes of uploads on the disk, those that the page can still play among them


class Uploads:
    """Admits a few requests with a body at a time, and answers those whose body comes too slowly or has no room.

    Parameters
    ----------
    app : ASGI application
    seconds : float
        The longest wait for admission, and the longest time that a client may take to send a body.
    at_once : int
    folder : Path, optional
        Where uploads are kept.
    clock : callable
        Seconds, as `time.monotonic` gives them.
    """

    def __init__(
        self,
        app: Any,
        seconds: float,
        at_once: int = AT_ONCE,
        folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._seconds, self._folder, self._clock = app, seconds, folder, clock
        self._admitted = asyncio.Semaphore(at_once)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on when it is its turn."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            await asyncio.wait_for(self._admitted.acquire(), self._seconds)
        except TimeoutError:
            await _refuse(scope, receive, send, 503, "too many uploads at once; try again later")
            return
        try:
            if self._folder and folder_size(self._folder) > MOST_KEPT:
                await _refuse(scope, receive, send, 507, "too many uploads are kept; try again in some minutes")
                return
            upload = _Upload(scope, receive, send, self._seconds, self._clock)
            with suppress(ClientDisconnect):  # which Gradio lets pass, and uvicorn would log as a bug
                await self._app(scope, upload.receive, upload.send)
        finally:
            self._admitted.release()


def folder_size(folder: Path) -> int:
    """Add up the sizes of a folder's files, which may be deleted meanwhile."""
    size = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            size += file.stat().st_size
    return size


class _Upload:
    """The two directions of a request; what waits for the client is counted, what waits for the server is not."""

    def __init__(self, scope: Any, receive: Any, send: Any, seconds: float, clock: Callable[[], float]) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._left, self._clock = seconds, clock
        self._whole = self._refused = False

    async def receive(self) -> Any:
        """Receive the next part of the body; a disconnection if the client has used up its time."""
        if self._refused:
            return {"type": "http.disconnect"}
        if self._whole:
            return await self._receive()
        began = self._clock()
        try:
            message = await asyncio.wait_for(self._receive(), self._left)
        except TimeoutError:
            return await self.give_up()
        self._left = max(self._left - (self._clock() - began), 0.0)
        self._whole = not message.get("more_body", False)
        return message

    async def give_up(self) -> Any:
        """Answer that the client was too slow."""
        self._refused = True
        await _refuse(self._scope, self._receive, self._send, 408, "the upload took too long")
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """Send a part of the answer, unless the client has had one."""
        if not self._refused:
            await self._send(message)


async def _refuse(scope: Any, receive: Any, send: Any, status: int, reason: str) -> None:
    headers = {"connection": "close"} | ({"retry-after": "10"} if status == 503 else {})
    await JSONResponse({"error": reason}, status, headers)(scope, receive, send)
