"""Hashes for cache keys, identities and checksums, all with blake2b."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Any

SIZE = 16  # bytes of a digest or checksum
CONTENT_SIZE = 20  # bytes of the digest of a file's content


def checksum(data: bytes | memoryview, key: bytes = b"") -> bytes:
    """Hash bytes to 16 bytes, with an optional key of at most 64 bytes."""
    return hashlib.blake2b(data, digest_size=SIZE, key=key).digest()


def digest_bytes(data: bytes, key: bytes = b"") -> str:
    """Hash bytes to 32 hexadecimal digits."""
    return checksum(data, key).hex()


def digest_json(facts: Any) -> str:
    """Hash a JSON-serialisable value to 32 hexadecimal digits, independent of the order of keys."""
    return digest_bytes(json.dumps(facts, sort_keys=True).encode())


def digest_list(items: Iterable[Any]) -> str:
    """Hash a list as `digest_json` does, but item by item, without its whole text in memory."""
    digest, separator = hashlib.blake2b(digest_size=SIZE), "["
    for item in items:
        digest.update((separator + json.dumps(item, sort_keys=True)).encode())
        separator = ", "
    digest.update(b"[]" if separator == "[" else b"]")
    return digest.hexdigest()


def digest_stream(stream: FileIO) -> bytes:
    """Hash the rest of an open file to 20 bytes, without reading it into memory."""
    return hashlib.file_digest(stream, content_hash).digest()


def content_hash() -> Any:
    """Create a hash for content that is read in chunks; its digest has 20 bytes."""
    return hashlib.blake2b(digest_size=CONTENT_SIZE)


def digest_part(content: bytes, part: str) -> bytes:
    """Hash the digest of a file's content together with the name of a part; without a part, return the digest."""
    if not part:
        return content
    part_hash = content_hash()
    part_hash.update(content + part.encode())
    return bytes(part_hash.digest())


def digest_file(file: Path) -> bytes:
    """Hash a file's content to 20 bytes.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with file.open("rb", buffering=0) as stream:
        return digest_stream(stream)
