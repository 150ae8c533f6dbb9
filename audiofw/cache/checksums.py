"""NumPy arrays as bytes with a keyed checksum.

The bytes are those of a ``.npy`` file, which `numpy.load` can read, followed by a checksum of 16 bytes. The key
identifies the entry, so that an intact entry stored under another entry's name is rejected.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np

from audiofw.system.hashing import SIZE, checksum

_PREAMBLE = 10  # bytes before the header text of a .npy file, version 1.0: magic, version, length


class Damaged(ValueError):  # noqa: N818
    """Bytes that do not match their checksum and key."""


def seal(array: np.ndarray, key: bytes) -> bytes:
    """Serialise an array and append its checksum.

    Parameters
    ----------
    array : np.ndarray
        Any shape and dtype, except Python objects.
    key : bytes
        At most 64 bytes; `unseal` needs the same key.

    Raises
    ------
    ValueError
        For an array of Python objects.
    """
    if array.dtype.hasobject:
        raise ValueError(f"an array of {array.dtype} contains Python objects, which cannot be stored safely")
    body = _header(array.dtype, array.shape) + array.tobytes()
    return body + checksum(body, key)


def unseal(sealed: bytearray, key: bytes) -> np.ndarray:
    """Verify and deserialise an array, which shares the memory of the bytes and is writable.

    Raises
    ------
    Damaged
        If the bytes were truncated or changed, or sealed with another key.
    """
    body = memoryview(sealed)[:-SIZE]
    if len(sealed) < _PREAMBLE + SIZE or checksum(body, key) != sealed[-SIZE:]:
        raise Damaged("the checksum is wrong")
    start = _PREAMBLE + int.from_bytes(body[8:_PREAMBLE], "little")
    dtype, shape = _layout(bytes(body[:start]))
    return np.frombuffer(body[start:], dtype).reshape(shape)


# Cached, since most arrays of a recipe have the same header, and NumPy spends more time on it than on the data.
@functools.lru_cache(maxsize=1024)
def _header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    text = io.BytesIO()
    described = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(text, described)
    return text.getvalue()


@functools.lru_cache(maxsize=1024)
def _layout(header: bytes) -> tuple[Any, tuple[int, ...]]:
    text = io.BytesIO(header)
    np.lib.format.read_magic(text)
    shape, _, dtype = np.lib.format.read_array_header_1_0(text)
    return dtype, shape
