"""Read named chunks of a wav file, which may be before or after its samples."""

from __future__ import annotations

import os
import struct
from collections.abc import Container
from pathlib import Path

MOST_CHUNKS = 1000
MOST_BYTES = 65_536  # of a chunk
_ORDERS = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<", b"BW64": "<"}


def read_chunks(path: Path, names: Container[bytes]) -> dict[bytes, bytes]:
    """Read the first chunk of each of these names, without reading the samples.

    Parameters
    ----------
    path : Path
    names : container of bytes
        Of four bytes each.

    Returns
    -------
    dict of bytes to bytes
        At most `MOST_BYTES` of each; nothing for other formats, and for files that cannot be read.
    """
    found: dict[bytes, bytes] = {}
    if not path.is_file():  # what is read from a pipe is gone
        return found
    try:
        with path.open("rb") as file:
            size, head = os.fstat(file.fileno()).st_size, file.read(12)
            if head[:4] not in _ORDERS or head[8:] != b"WAVE":
                return found
            order, at, wide = _ORDERS[head[:4]], 12, 0  # wide: bytes of samples, where 32 bits do not suffice
            for _ in range(MOST_CHUNKS):
                file.seek(at)
                if at + 8 > size or len(start := file.read(8)) < 8:
                    break
                name, length = struct.unpack(f"{order}4sI", start)
                if name == b"ds64":
                    _, wide = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
                elif name in names and name not in found:
                    found[name] = file.read(min(length, MOST_BYTES))
                length = wide if name == b"data" and wide else length
                at += 8 + length + length % 2
    except OSError:
        return found
    return found
