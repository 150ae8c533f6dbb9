"""Limit the threads of numerical libraries for the whole process, from several threads at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from threadpoolctl import threadpool_limits

Api = Literal["blas", "openmp"]

_lock = threading.Lock()
_inside: dict[Api, int] = {"blas": 0, "openmp": 0}
_limited: dict[Api, list[threadpool_limits]] = {"blas": [], "openmp": []}
_imported: dict[Api, int] = {"blas": 0, "openmp": 0}  # modules, when libraries were last looked for


@contextmanager
def one_thread(*apis: Api) -> Iterator[None]:
    """Limit libraries to one thread each; the last of several threads that leave restores what the first found.

    `threadpool_limits` restores what it found, in whichever order threads leave: two that overlap would leave the limit
    in place for good.
    """
    with _lock:
        for api in apis:
            _enter(api)
    try:
        yield
    finally:
        with _lock:
            for api in apis:
                _leave(api)


def _enter(api: Api) -> None:
    _inside[api] += 1
    if _inside[api] > 1 and _imported[api] == len(sys.modules):  # finding the libraries takes milliseconds
        return
    _imported[api] = len(sys.modules)
    limit = threadpool_limits(1, user_api=api)  # also of libraries that were imported since
    if not _limited[api] or limit.get_original_num_threads()[api] != 1:
        _limited[api].append(limit)


def _leave(api: Api) -> None:
    _inside[api] -= 1
    while not _inside[api] and _limited[api]:
        _limited[api].pop().restore_original_limits()
