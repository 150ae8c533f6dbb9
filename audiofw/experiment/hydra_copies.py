"""Shallow copies of Hydra's config repository, for our own command only."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hydra
from hydra._internal import config_repository

KNOWN = ("1.3.", "1.4.")  # the releases of Hydra that this was checked with


@contextmanager
def shallow_copies() -> Iterator[None]:
    """Make Hydra copy its config repository quickly in this context.

    Hydra copies it in order to replace its list of sources. A deep copy also copies every schema: for --help, which
    makes 74 copies, that was 70 % of the time. Other releases of Hydra are left unchanged.
    """
    repository: Any = getattr(config_repository, "ConfigRepository", None)
    if repository is None or not hydra.__version__.startswith(KNOWN) or "__deepcopy__" in vars(repository):
        yield
        return
    repository.__deepcopy__ = lambda self, memo: copy.copy(self)
    try:
        yield
    finally:
        del repository.__deepcopy__
