"""Annotation documents of ELAN (.eaf), read by pympi (extra ``annotations``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from audiofw.data.annotations.columns import check_times
from audiofw.data.annotations.rows import Annotation, Flaw
from audiofw.data.annotations.tiers import chosen_tiers, opening
from audiofw.errors import DataError

SUFFIX = ".eaf"


def read_elan(path: Path, chosen: Mapping[str, str]) -> Iterator[Annotation | Flaw]:
    """Read the annotations of all tiers, or of the one that ``data.columns.label`` names.

    The recording is the one that the document links to, or else the one that it lies beside. Empty annotations are
    passed over.

    Raises
    ------
    DataError
        If pympi is not installed, or cannot read the file.
    ConfigError
        For a tier that the file lacks.
    """
    with opening(path, "an ELAN document", "pympi"):
        import pympi

        document = pympi.Eaf(str(path), suppress_version_warning=True)
    media = [each.get("RELATIVE_MEDIA_URL") or each.get("MEDIA_URL", "") for each in document.media_descriptors]
    recording = PurePosixPath(unquote(media[0])).name if len(media) == 1 else ""
    for tier in chosen_tiers(path, list(document.tiers), chosen):
        for start, end, label, *_ in document.get_annotation_data_for_tier(tier):
            where = f"tier {tier!r}, annotation at {'?' if start is None else start} ms"
            if not label.strip():
                continue
            try:
                if start is None or end is None:
                    raise DataError("it is not aligned with the recording")
                check_times(start / 1000, end / 1000)
                yield Annotation(recording, start / 1000, end / 1000, label.strip(), source=path, line=where)
            except DataError as error:
                yield Flaw(path, where, str(error))
