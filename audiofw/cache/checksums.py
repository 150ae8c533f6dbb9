"""A numpy array as bytes that tell whether they are whole and where they belong.

The bytes are those of a ``.npy`` file, which `numpy.load` reads, followed by a keyed checksum of 16 bytes. The key
names the place: an intact entry under another's name does not pass for it.
"""

from __future__ import annotations

import functools
import hashlib
import io
from typing import Any

import numpy as np

SEAL = 16  # bytes
_PREAMBLE = 10  # bytes of a .npy file of version 1.0 before its header's text: magic, version, length


class Damaged(ValueError):  # noqa: N818  # said of bytes, not of a call
    """Bytes that are not what was sealed under this key."""


def seal(array: np.ndarray, key: bytes) -> bytes:
    """Turn an array into bytes.

    Parameters
    ----------
    array : np.ndarray
        Of any shape; of numbers, not of Python objects.
    key : bytes
        At most 64; `unseal` needs the same.

    Raises
    ------
    ValueError
        For an array of Python objects.
    """
    if array.dtype.hasobject:
        raise ValueError(f"an array of {array.dtype} holds Python objects, which cannot be stored safely")
    body = _header(array.dtype, array.shape) + array.tobytes()
    return body + _checksum(body, key)


def unseal(sealed: bytearray, key: bytes) -> np.ndarray:
    """Turn bytes back into the array; it shares their memory and may be written to.

    Raises
    ------
    Damaged
        If a byte was lost or changed, or they were sealed under another key.
    """
    body = memoryview(sealed)[:-SEAL]
    if len(sealed) < _PREAMBLE + SEAL or _checksum(body, key) != sealed[-SEAL:]:
        raise Damaged("the checksum is wrong")
    start = _PREAMBLE + int.from_bytes(body[8:_PREAMBLE], "little")
    dtype, shape = _layout(bytes(body[:start]))
    return np.frombuffer(body[start:], dtype).reshape(shape)


def _checksum(body: bytes | memoryview, key: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=SEAL, key=key).digest()


# One recipe's arrays mostly share one header: numpy would spend more time on that than on the data.
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
