"""Keep libmpg123 from writing to stderr, for which libsndfile has no option.

It reports damaged MP3 files there by itself, beside audiofw's own message. Only what C code writes by way of
``stderr``, the stream of the C library, is dropped, and only meanwhile: the file descriptor and Python's own output are
not touched.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Stderr:
    """The variable ``stderr`` of the C library; it is one for all threads, so the last that leaves restores it."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        try:
            library = ctypes.CDLL(None)
            name = "__stderrp" if sys.platform == "darwin" else "stderr"
            self._variable: ctypes.c_void_p | None = ctypes.c_void_p.in_dll(library, name)
            library.fopen.restype = ctypes.c_void_p
            self._nowhere = library.fopen(os.fsencode(os.devnull), b"w")
        except (OSError, TypeError, ValueError, AttributeError):  # on Windows, or with another C library
            self._variable = None
        self._own = self._variable.value if self._variable is not None else None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._restart)

    def hide(self) -> None:
        with self._lock:
            self._inside += 1
            if self._variable is not None and self._nowhere:
                self._variable.value = self._nowhere

    def show(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._variable is not None and not self._inside:
                self._variable.value = self._own

    def _restart(self) -> None:
        """A forked process has none of the other threads."""
        self._lock, self._inside = threading.Lock(), 1
        self.show()


_STDERR = _Stderr()


@contextmanager
def no_stderr() -> Iterator[None]:
    """Drop what C code writes to stderr, in any thread, while the context is entered."""
    _STDERR.hide()
    try:
        yield
    finally:
        _STDERR.show()
