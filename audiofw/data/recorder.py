"""What recorders write in the names of their files: date and time, site and serial number.

``20250612_043000.WAV`` (AudioMoth), ``SITE_20250612_043000.wav`` and ``S4A01234_20250612$043000.wav`` (Wildlife
Acoustics), ``20250612T043000+1000_SITE.flac`` (Frontier Labs), ``5678.250612043000.wav`` (SoundTrap) and the like. What
stands in headers is read by `audiofw.data.headers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePath
from typing import NamedTuple

YEARS = range(1990, 2100)

_DATE = r"(?P<year>(?:19|20)\d\d)(?P<dash>[-_.]?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
_TIME = r"(?P<hour>\d\d)(?P<colon>[-_.:]?)(?P<minute>\d\d)(?:(?P=colon)(?P<second>\d\d))?"
_ZONE = r"(?P<zone>Z|[+-]\d\d:?\d\d)?"
_STAMP = re.compile(rf"(?<!\d){_DATE}(?:(?P<t>[T])|[-_ $]|(?=\d{{6}}(?!\d))){_TIME}(?!\d){_ZONE}")
_SHORT = re.compile(  # two digits of the year: only behind a serial number and a dot
    r"^(?P<serial>\d{3,10})\.(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)(?!\d)"
)
_SERIAL = re.compile(r"(?:S[34M][A-Z]?|SM[A-Z]|2M[A-Z])\d{4,6}|[0-9A-F]{16}")
_FILLER = re.compile(r"^[-_. $]+|[-_. $]+$")
_CHANNELS = re.compile(r"[_-]\d\+\d$")  # Song Meters name the channels between the site and the date


class Recorded(NamedTuple):
    """When, where and with what a recording was made; None for what is not known."""

    time: datetime | None = None  #: of its start, by the recorder's clock; with a time zone if that is known
    site: str | None = None
    serial: str | None = None

    @property
    def day(self) -> str | None:
        """The date by the recorder's clock: ``2025-06-12``."""
        return None if self.time is None else f"{self.time:%Y-%m-%d}"

    def at(self, seconds: float) -> str | None:
        """Give the time at a number of seconds into the recording: ``2025-06-12T04:30:12.500``."""
        if self.time is None:
            return None
        moment = self.time + timedelta(milliseconds=round(1000 * seconds))
        return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def read_file_name(name: str) -> Recorded:
    """Read the name of a file.

    Parameters
    ----------
    name : str
        With or without folders, which are not used, and suffix.

    Examples
    --------
    >>> read_name("north/POND_20250612_043000.wav").site
    'POND'
    >>> read_name("S4A01234_20250612_043000.wav").serial
    'S4A01234'
    >>> read_name("20250612_043000.WAV").at(12.5)
    '2025-06-12T04:30:12.500'
    """
    text = PurePath(name.replace("\\", "/")).name
    if short := _SHORT.match(text):
        year = {"year": f"20{short['year']}"}
        return Recorded(_moment({**short.groupdict(), **year}), serial=short["serial"])
    for found in _STAMP.finditer(text):
        if time := _moment({**found.groupdict(), "zone": found["zone"] if found["t"] else None}):
            before = _CHANNELS.sub("", _FILLER.sub("", text[: found.start()]))
            after = text[found.end() : len(text) - len(PurePath(text).suffix)] if found["t"] else ""
            place = before or _FILLER.sub("", after)
            serial = place if _SERIAL.fullmatch(place) else None
            return Recorded(time, None if serial else place or None, serial)
    return Recorded()


def _moment(parts: dict[str, str | None]) -> datetime | None:
    """Make a time of its parts; None for a 13th month and the like."""
    figures = [int(parts[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")]
    return moment(lambda: datetime(*figures, tzinfo=as_zone(parts.get("zone"))))  # type: ignore[misc, arg-type]


def moment(make: Callable[[], datetime]) -> datetime | None:
    """Return a time, or None if it cannot be made or is not of a year in which recorders existed."""
    try:
        made = make()
    except (ValueError, OverflowError):
        return None
    return made if made.year in YEARS else None


def as_zone(text: str | None) -> timezone | None:
    """Read a time zone: ``Z``, ``+10:00``, ``-0330`` or ``+5``; None for none.

    Raises
    ------
    ValueError
        For a difference of a day or more.
    """
    if not text:
        return None
    if text == "Z":
        return UTC
    figures = text[1:].replace(":", "")
    hours, minutes = (figures[:-2], figures[-2:]) if len(figures) > 2 else (figures, "0")
    difference = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-difference if text[0] == "-" else difference)
