"""Say on one line why the system refuses to write, and what to do: a full disk, a read-only folder, a broken disk."""

from __future__ import annotations

import errno
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from audiofw.errors import first_line
from audiofw.system.paths import cache_root

log = logging.getLogger(__name__)

STDOUT = "standard output"

_FULL = ("ENOSPC", "EDQUOT", "EFBIG")
_FORBIDDEN = ("EACCES", "EPERM")
_BROKEN = ("EIO", "EREMOTEIO", "ESTALE", "ENODEV", "ENXIO", "ENOTCONN", "EHOSTDOWN", "ETIMEDOUT")
_OTHER = ("EROFS", "EMFILE", "ENFILE", "EBUSY", "ETXTBSY", "ENAMETOOLONG", "ELOOP", "EPIPE")
_FIRST = {
    **dict.fromkeys(_FULL, "free some space"),
    **dict.fromkeys(_FORBIDDEN, "change its permissions"),
    **dict.fromkeys(_BROKEN, "check the disk"),
    **dict.fromkeys(("EMFILE", "ENFILE"), "raise the limit on open files (ulimit -n)"),
}
"""What helps, apart from another folder."""

FAULTS = frozenset(getattr(errno, name) for name in (*_FIRST, *_OTHER) if hasattr(errno, name))
"""Errors that come from the state of the machine rather than from a bug. A missing file may be either."""


def find_fault(error: BaseException | None) -> OSError | None:
    """Find the fault of the machine that an error is, or was raised from or during; None for other errors."""
    while error is not None:
        if isinstance(error, OSError) and (error.errno in FAULTS or _lacks_temporary(error)):
            return error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def explain(error: OSError, place: str | Path | None = None, option: str = "") -> str:
    """Write where something could not be written, why, and what to do.

    Parameters
    ----------
    error : OSError
    place : path, optional
        Where, if the error does not name a file.
    option : str
        What sets another place, such as ``hydra.run.dir=FOLDER``; by default chosen by the place.
    """
    if _lacks_temporary(error):
        return f"{error.strerror}; set TMPDIR to a folder with space that can be written"
    where = place_of(error, place)
    return f"{where or 'cannot write'}: {reason(error)}; {remedy(error, where, option)}"


def place_of(error: OSError, place: str | Path | None = None) -> str:
    """Name the file that an error is about."""
    named = error.filename
    return os.fsdecode(named) if isinstance(named, (str, bytes, os.PathLike)) and named else str(place or "")


def reason(error: OSError) -> str:
    """Say what the system answered, without numbers and paths."""
    return error.strerror or first_line(error)


def remedy(error: OSError, place: str | Path, option: str = "") -> str:
    """Say what to do about a place that cannot be written; see `explain`."""
    first = next((said for name, said in _FIRST.items() if getattr(errno, name, None) == error.errno), "")
    return ", or ".join(filter(None, [first, _elsewhere(str(place), option)]))


def _elsewhere(place: str, option: str) -> str:
    if place == STDOUT:
        return "write to another file"
    if Path(place).absolute().is_relative_to(cache_root()):
        return "set AUDIOFW_CACHE to another folder"
    if _is_temporary(place):
        return "set TMPDIR to another folder"
    return f"choose another folder{f' with {option}' if option else ''}"


def _is_temporary(place: str) -> bool:
    """Whether a file is in one of this program's temporary folders; users' may be in the same folder."""
    with suppress(OSError, ValueError):
        below = Path(place).relative_to(tempfile.gettempdir())
        return re.match(r"(tmp|audiofw-\w+-)\w{8}$", below.parts[0]) is not None
    return False


def _lacks_temporary(error: OSError) -> bool:
    return error.errno == errno.ENOENT and str(error.strerror).startswith("No usable temporary directory")


def warn_of_cache(error: OSError, folder: Path | None = None) -> None:
    """Warn that the cache, or a folder of it, cannot be written; the same warning is shown only once."""
    folder = folder or cache_root()
    said = "%s: %s; continuing without storing features; %s"
    log.warning(said, str(folder), reason(error), remedy(error, cache_root()), extra={"once": True})


@contextmanager
def writing_to(place: str | Path) -> Iterator[None]:
    """Let errors of the system name the place that is written to, which those of file objects do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(place)
        raise
