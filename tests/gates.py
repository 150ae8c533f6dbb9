"""Points where what a test has started waits until the test lets it go on, so that nothing hangs on time or luck."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60  # seconds; only what would wait for ever reaches them

TESTS = Path(__file__).parent
PYTHONPATH = os.pathsep.join(map(str, (TESTS.parent, TESTS)))
"""With which another process finds this checkout and this module."""


def arrive(port: str = "") -> None:
    """Tell the test that this point is reached, and wait until it lets go: at a gate, or that named by ``GATE``."""
    with socket.create_connection(("127.0.0.1", int(port or os.environ["GATE"]))) as gate:
        gate.recv(1)


@contextmanager
def opened_gate() -> Iterator[socket.socket]:
    """Make a gate, at which others arrive one by one."""
    with socket.create_server(("127.0.0.1", 0)) as gate:
        gate.settimeout(PATIENCE)
        yield gate


def port_of(gate: socket.socket) -> str:
    """Name a gate in the environment of those who are to arrive at it."""
    return str(gate.getsockname()[1])


def arrival(gate: socket.socket) -> socket.socket:
    """Wait for the next one at the gate; closing what this gives lets it go on."""
    visitor, _ = gate.accept()
    visitor.settimeout(PATIENCE)
    return visitor


def wait_until_gone(visitor: socket.socket) -> None:
    """Wait until the process that is held at the gate has ended."""
    assert visitor.recv(1) == b""


def heed_ctrl_c() -> None:
    """Make SIGINT interrupt again: in the background, as after ``nohup``, it is ignored here and in every child."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
