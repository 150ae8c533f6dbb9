"""HTTP for clients that are not trusted to be quick: one that stalls is closed."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD = 10.0  # seconds for the head of a request
READING = 30.0  # seconds in which a client must read some of an answer


class ImpatientProtocol(H11Protocol):
    """Closes connections on which a request's head, or the reading of an answer, takes too long.

    uvicorn waits for ever in both cases. Bodies are limited in `audiofw.serve.uploads`, which can answer.
    """

    _head: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Expect the first request."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take data, and expect the rest of a head if it is not complete."""
        super().data_received(data)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        super().connection_lost(exc)
        self._stop("_head")
        self._stop("_reading")

    def pause_writing(self) -> None:
        """Expect the client to read."""
        super().pause_writing()
        self._reading = self._reading or self.loop.call_later(READING, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the client has read."""
        super().resume_writing()
        self._stop("_reading")

    def _expect_head(self) -> None:
        if not self._idle:
            self._stop("_head")
        elif self._head is None:
            self._head = self.loop.call_later(HEAD, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self._head = None
        if self._idle:
            self.transport.abort()

    def _stop(self, name: Literal["_head", "_reading"]) -> None:
        timer: asyncio.TimerHandle | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
        setattr(self, name, None)

    @property
    def _idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete
