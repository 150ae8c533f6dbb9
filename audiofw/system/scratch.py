"""Temporary folders that are removed as far as possible: a file that cannot be removed costs nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(prefix: str = "tmp", within: Path | None = None) -> Iterator[Path]:
    """Create a temporary folder within another, by default ``TMPDIR``, and remove it at the end.

    `tempfile.TemporaryDirectory` recurses without end where a file in it may not be removed.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    folder = tempfile.mkdtemp(prefix=prefix, dir=within)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
