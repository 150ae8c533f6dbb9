"""Which requests are answered: those for a name of this server, and none that a page of another site has sent."""

from __future__ import annotations

import socket
from collections.abc import Collection
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse

PORTS = {"http": 80, "https": 443}


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    reason: str


class SameSite:
    """Refuses requests by the names in their headers, before anything else of them is read.

    A page of another website could otherwise use a server that only its visitor can reach. Its requests carry an
    ``Origin`` that differs from their ``Host``, or, if the other site's name has been pointed to this server's address
    (DNS rebinding), a ``Host`` that is not one of this server's names. An address as ``Host`` cannot be such a name.

    Parameters
    ----------
    app : ASGI application
    names : collection of str
        Names of this server besides addresses and ``localhost``.
    public : collection of str
        Names under which a proxy passes requests on; their pages may send requests whatever ``Host`` the proxy writes.
    """

    def __init__(self, app: Any, names: Collection[str] = (), public: Collection[str] = ()) -> None:
        self._app = app
        self._public = {name.lower() for name in public}
        self._names = {"localhost", *(name.lower() for name in names), *self._public}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it."""
        refusal = self.refuse(Headers(scope=scope)) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            answer = JSONResponse({"error": refusal.reason}, refusal.status, {"connection": "close"})
            await answer(scope, receive, send)

    def refuse(self, headers: Headers) -> Refusal | None:
        """Say why a request with these headers is refused; None if it is not."""
        host, origin = headers.get("host"), headers.get("origin")
        if host is not None and not self._is_own(name := _split(f"//{host}")[0]):
            return Refusal(
                400, f"'{name}' is not a name of this server; to allow it: audiofw serve --allow-host {name}"
            )
        if origin is not None and not self._is_same(origin, host or ""):
            return Refusal(403, f"sent by a page of another site, {origin}")
        return None

    def _is_own(self, name: str) -> bool:
        return name in self._names or _is_address(name)

    def _is_same(self, origin: str, host: str) -> bool:
        name, port = _split(origin)
        implied = PORTS.get(origin.partition(":")[0])
        own, own_port = _split(f"//{host}")
        same = name == own and (port or implied) == (own_port or implied)
        return implied is not None and (same or name in self._public)


def _split(address: str) -> tuple[str, int | None]:
    """Split an address into its host, in lower case, and its port; an empty host for one that is malformed."""
    try:
        parts = urlsplit(address)
        return (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "", None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def names_of_this_machine() -> set[str]:
    """List the names by which other machines of the network may know this one."""
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0], f"{name.partition('.')[0]}.local"}
