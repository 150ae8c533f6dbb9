"""Documents with tiers, ELAN's and Praat's, read by libraries of the extra ``annotations``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from audiofw.data.labels import listing
from audiofw.errors import ConfigError, DataError, nearest, one_line


@contextmanager
def opening(path: Path, kind: str, library: str) -> Iterator[None]:
    """Raise DataError if a library is not installed, or cannot read a document of this kind."""
    try:
        yield
    except ImportError as error:
        raise DataError(f"{path}: {kind} needs {library}: pip install 'audiofw[annotations]'") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except Exception as error:  # pympi and praatio raise whatever their parsers meet
        raise DataError(f"{path}: not {kind}, or damaged: {one_line(error)}") from error


def chosen_tiers(path: Path, tiers: Sequence[str], chosen: Mapping[str, str]) -> list[str]:
    """List the tiers to read: all, or the one that ``data.columns.label`` names."""
    wanted = chosen.get("label")
    if wanted and wanted not in tiers:
        raise ConfigError(
            f"{path}: no tier {wanted!r}{nearest(wanted, tiers)} for data.columns.label; tiers: {listing(tiers)}"
        )
    return [wanted] if wanted else list(tiers)
