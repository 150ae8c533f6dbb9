"""The bytes of a file, mapped into memory."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Content = mmap.mmap | bytes


@contextmanager
def mapped(path: Path) -> Iterator[Content]:
    """Map a file into memory."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:  # libsndfile opens empty .au files, but mmap cannot
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
