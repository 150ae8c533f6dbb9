"""What a bundle remembers of the clips that its model was trained on, so that copies among test clips are found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from audiofw.audit.overlap import Known
from audiofw.audit.probe import Probe
from audiofw.data.dataset import Clip
from audiofw.errors import DataError

LIST, PRINTS = "training.json", "training.prints"
MOST_PRINTS = 16 * 2**20  # bytes; of more clips, the fingerprints are left out


def describe_clips(clips: Sequence[Clip], probes: Sequence[Probe | None]) -> list[Known]:
    """Describe training clips by their probes, of which there may be none."""
    given = probes or [None] * len(clips)
    size = sum(one.prints.nbytes for one in given if one)
    return [
        Known(
            clip.name,
            clip.label,
            clip.group,
            one and one.digest,
            one.prints if one and size <= MOST_PRINTS else None,
        )
        for clip, one in zip(clips, given, strict=True)
    ]


def training_files(known: Sequence[Known]) -> dict[str, bytes]:
    """Write them as files of a bundle."""
    rows = [[*one[:4], None if one.prints is None else one.prints.shape[1]] for one in known]
    prints = [one.prints for one in known if one.prints is not None]
    packed = np.concatenate([each.ravel() for each in prints]).astype("<u4").tobytes() if prints else b""
    return {LIST: json.dumps(rows, ensure_ascii=False).encode("utf-8", "replace"), PRINTS: packed}


def read_training(files: Mapping[str, bytes], where: str) -> list[Known]:
    """Read them from a bundle's files; none from a bundle that does not have them.

    Raises
    ------
    DataError
        If they are damaged.
    """
    if LIST not in files:
        return []
    try:
        words = np.frombuffer(files[PRINTS], "<u4").astype(np.uint32)
        known, at = [], 0
        for name, label, group, digest, frames in json.loads(files[LIST]):
            end = at + 2 * (frames or 0)
            prints = None if frames is None else words[at:end].reshape(2, frames)
            _check(name, label, group, digest)
            known.append(Known(name, label, group, digest, prints))
            at = end
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{where}: {LIST} is damaged, or not written by audiofw") from error
    return known


def _check(name: object, label: object, group: object, digest: object) -> None:
    if not (isinstance(name, str) and isinstance(label, str)):
        raise ValueError("not a name and a label")
    if not all(each is None or isinstance(each, str) for each in (group, digest)):
        raise ValueError("not a group and a digest")
