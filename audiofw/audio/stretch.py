"""A recording, or a stretch of one: what is read, cached and shown as one clip."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from audiofw.errors import DataError


class Stretch(NamedTuple):
    """Part of a recording; the whole of it without ``start`` and ``end``."""

    path: Path
    start: float | None = None  #: seconds
    end: float | None = None

    @property
    def key(self) -> str:
        """Tells the stretches of one file apart in the cache; empty for the whole."""
        return "" if self.start is None and self.end is None else f"{self.start!r}-{self.end!r}"

    def to_read(self, offset: float = 0.0, duration: float | None = None) -> tuple[float, float | None]:
        """Find the seconds to read of the file, if of each clip ``offset`` is skipped and ``duration`` used at most.

        Returns
        -------
        offset : float
            Where to start in the file, in seconds.
        duration : float or None
            How much to read, in seconds; None reads to the end.

        Raises
        ------
        DataError
            If nothing is left of the stretch.
        """
        if not self.key:
            return offset, duration
        begin = (self.start or 0.0) + offset
        if self.end is None:
            return begin, duration
        rest = round(self.end - begin, 9)  # so that 0.3 - 0.1 has as many samples as 0.2
        if rest <= 0:
            raise DataError(f"audio.offset of {offset:g} s is beyond the end of the stretch")
        return begin, rest if duration is None else min(rest, duration)


def as_stretch(recording: Path | Stretch) -> Stretch:
    """Take a path as the whole recording."""
    return recording if isinstance(recording, Stretch) else Stretch(Path(recording))


def stretch_name(recording: str, start: float | None, end: float | None) -> str:
    """Name a stretch in tables: ``rec.wav@12.5-15``, in seconds to the millisecond; the recording's name for all."""
    if start is None and end is None:
        return recording
    return f"{recording}@{_to_ms(start or 0.0)}-{'' if end is None else _to_ms(end)}"


def _to_ms(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")
