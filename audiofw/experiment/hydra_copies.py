"""Hydra's repository of configs, copied without what is in it: for our own command alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hydra
from hydra._internal import config_repository

KNOWN = "1.3."  # the releases of Hydra that were looked at


@contextmanager
def shallow_copies() -> Iterator[None]:
    """Let Hydra copy its repository of configs quickly, as long as this lasts.

    Hydra copies it before it gives it other sources, and only the list of them changes. A deep copy holds every
    schema: for --help, where it makes 74 of them, that was 70 % of the time. Another Hydra is left as it is.
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
