"""What Hydra does without need, for our own command only: deep copies, and composing the config twice."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
from hydra._internal import config_repository
from hydra._internal import hydra as hydra_itself

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


MAY_SET_MODE = re.compile(r"-(-config-|cd|cn|cp)|[+~]*hydra(?![./](run|sweep)\.dir=)")
"""Words of a command line by which hydra.mode may be set: other configs, and almost any option of Hydra's own."""


@contextmanager
def known_mode(words: Sequence[str]) -> Iterator[None]:
    """Spare Hydra composing the config only to see whether that sets hydra.mode, if this command line cannot set it."""
    of_hydra: Any = hydra_itself.Hydra
    original = vars(of_hydra).get("get_mode")
    if original is None or not hydra.__version__.startswith(KNOWN) or any(map(MAY_SET_MODE.match, words)):
        yield
        return
    of_hydra.get_mode = lambda self, config_name, overrides: None
    try:
        yield
    finally:
        of_hydra.get_mode = original
