"""What recorders write in the headers of wav files: AudioMoth's comment, Wildlife Acoustics' chunk, and GUANO.

A header that cannot be understood says nothing: it is never an error.

Sources: the AudioMoth firmware (``ICMT`` and ``IART`` in the list ``INFO``), the GUANO specification 1.0 (``guan``),
and ``wamd2guano`` of the package guano (``wamd``). The package itself refuses wav files with floating-point samples, so
its few lines that read the chunk's text are repeated here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from audiofw.audio.chunks import read_chunks
from audiofw.data.recorder import Recorded, as_zone, moment, read_file_name

_AUDIOMOTH = re.compile(r"Recorded at (\d\d:\d\d:\d\d)(?:\.\d+)? (\d\d/\d\d/\d{4}) \(UTC([+-]\d{1,2}(?::?\d\d)?)?\)")
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?\s*(Z|[+-]\d\d(?::?\d\d)?)?")
_DEVICE = re.compile(r"AudioMoth ([0-9A-Fa-f]{16})")
_DEPLOYED = re.compile(r"during deployment ([0-9A-Fa-f]{16})")
_WAMD = {2: "serial", 4: "site", 5: "time"}
_SITES = ("site", "site name", "prefix")  # last part of a key of GUANO, after its owner: "WA|Song Meter|Prefix"
_LONGEST = 100  # characters of a site or serial number


def read_recorder(path: Path, name: str | None = None) -> Recorded:
    """Read when, where and with what a recording was made, from its name and, of a wav file, its header.

    The name counts where the two differ, since a header may be that of a longer recording, from which the file was cut.

    Parameters
    ----------
    path : Path
    name : str, optional
        By default that of the path.
    """
    named, header = read_file_name(name or path.name), read_recorder_header(path)
    if named.time is None:
        return Recorded(header.time, header.site or named.site, header.serial or named.serial)
    same = header.time is not None and header.time.replace(tzinfo=None) == named.time.replace(tzinfo=None)
    time = header.time if same and named.time.tzinfo is None else named.time
    return Recorded(time, named.site or header.site, header.serial or named.serial)


def read_recorder_header(path: Path) -> Recorded:
    """Read the header of a wav file; nothing is known of other files."""
    chunks = read_chunks(path, (b"LIST", b"wamd", b"guan"))
    found = [
        read(chunks[name])
        for name, read in ((b"guan", _guano), (b"wamd", _wildlife), (b"LIST", _info))
        if name in chunks
    ]
    known = {
        field: next((value for one in found if (value := getattr(one, field)) is not None), None)
        for field in Recorded._fields
    }
    recorded = Recorded(**known)
    return recorded._replace(site=None) if recorded.site == recorded.serial else recorded  # a prefix that nobody set


def _guano(chunk: bytes) -> Recorded:
    """Read lines such as ``Timestamp: 2025-06-12T04:30:00+02:00``."""
    lines = [line.partition(":") for line in chunk.decode("utf-8", "replace").splitlines()]
    values = {key.strip().rpartition("|")[2].strip().lower(): _text(value) for key, _, value in reversed(lines)}
    site = next((values[key] for key in _SITES if values.get(key)), None)
    return Recorded(_read_iso(values.get("timestamp")), site, values.get("serial"))


def _wildlife(chunk: bytes) -> Recorded:
    """Read fields, each with a number and a length."""
    values = {_WAMD[number]: _text(content) for number, content in _fields(chunk, "<HI") if number in _WAMD}
    return Recorded(_read_iso(values.get("time")), values.get("site"), values.get("serial"))


def _info(chunk: bytes) -> Recorded:
    """Read AudioMoth's comment: ``Recorded at 19:17:30 04/12/2019 (UTC+1) by AudioMoth 24F319055FDF2F5B …``."""
    if chunk[:4] != b"INFO":
        return Recorded()
    values = {name: _text(content, 1000) or "" for name, content in _fields(chunk[4:], "<4sI", even=True)}
    comment = values.get(b"ICMT", "")
    device = _DEVICE.search(comment) or _DEVICE.search(values.get(b"IART", ""))
    found, deployed = _AUDIOMOTH.search(comment), _DEPLOYED.search(comment)
    time = found and _read_time(f"{found[2]} {found[1]}", "%d/%m/%Y %H:%M:%S", found[3] or "Z")
    return Recorded(time, deployed[1] if deployed else None, device[1] if device else None)


def _fields(content: bytes, form: str, even: bool = False) -> Iterator[tuple[bytes | int, bytes]]:
    at, head = 0, struct.calcsize(form)
    while at + head <= len(content):
        name, length = struct.unpack_from(form, content, at)
        yield name, content[at + head : at + head + length]
        at += head + length + (length % 2 if even else 0)


def _text(content: bytes | str, longest: int = _LONGEST) -> str | None:
    """Read a text up to its first zero, on one line; None for an empty one."""
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text.partition("\0")[0][:longest]).split()) or None


def _read_iso(text: str | None) -> datetime | None:
    found = _ISO.match(text or "")
    return _read_time(f"{found[1]} {found[2]}", "%Y-%m-%d %H:%M:%S", found[3]) if found else None


def _read_time(text: str, form: str, zone: str | None) -> datetime | None:
    return moment(lambda: datetime.strptime(text, form).replace(tzinfo=as_zone(zone)))
