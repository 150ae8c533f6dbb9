"""The bytes of a file: read if it is small, else mapped into memory."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Content = mmap.mmap | bytes
SMALL = 2**20  # bytes


@contextmanager
def mapped(path: Path) -> Iterator[Content]:
    """Give access to the bytes of a file."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < SMALL:  # reading is quicker, and mmap cannot map an empty file
            yield file.read()
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content
