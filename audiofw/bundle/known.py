"""The bundles that this machine knows: those written here, and strangers' that were tried (`audiofw.bundle.trial`).

A bundle is known by the digest of everything in it, as computed here. Each is an empty file in ``bundles/`` of the
cache, where no bundle and no archive can write; without it, a bundle is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from audiofw.system.hashing import digest_json
from audiofw.system.paths import cache_root

FOLDER = "bundles"


def is_known(facts: Mapping[str, Any]) -> bool:
    """Whether a bundle was written or tried here; its facts contain the digests of its files, which were checked."""
    return _place(facts).is_file()


def make_known(facts: Mapping[str, Any]) -> None:
    """Note that a bundle may be loaded as it is; without a cache folder, it is tried each time."""
    with suppress(OSError):
        _place(facts).parent.mkdir(parents=True, exist_ok=True)
        _place(facts).touch()


def _place(facts: Mapping[str, Any]) -> Path:
    return cache_root() / FOLDER / digest_json({key: value for key, value in facts.items() if key != "digest"})
