"""The intact parts of a damaged recording, so that what stands behind the damage is read at its right time."""

from __future__ import annotations

from typing import NamedTuple

from audiofw.audio.spliced import Piece


class Part(NamedTuple):
    """Part of a file that decodes by itself; all positions are in sample frames."""

    pieces: list[Piece]  #: what to decode, as pieces for `audiofw.audio.spliced`
    begin: int  #: position of its first frame in the recording
    skip: int = 0  #: frames at its start that are not right, since the decoder begins anew
    stop: int | None = None  #: number of frames to use; None: all
    is_cut: bool = False  #: whether an unknown number of frames is missing after it


class Gap(NamedTuple):
    """A stretch that could not be read, and is silent."""

    start: float  #: seconds
    end: float  #: equal to the start if it is not known how much is missing
    reason: str
