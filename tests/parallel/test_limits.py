"""Limits on the threads of numerical libraries."""

import sys
from types import ModuleType
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_info

from audiofw.parallel import limits
from audiofw.parallel.limits import one_thread


def blas_threads():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_libraries_are_looked_for_again_only_where_more_were_imported(monkeypatch):
    assert np.dot(1, 1)  # so that there is one
    before = blas_threads()
    with one_thread("blas"), patch.object(limits, "threadpool_limits", wraps=limits.threadpool_limits) as look:
        with one_thread("blas"):
            pass
        assert not look.called
        monkeypatch.setitem(sys.modules, "made_up", ModuleType("made_up"))
        with one_thread("blas"):
            assert look.called
            assert blas_threads() == {1}
    assert blas_threads() == before
