"""Recognise the formats that libsndfile cannot decode, whatever a file is called, and how to convert them.

Sources: the RFC 2361 and Microsoft's mmreg.h (format tags of WAV), the specifications of Ogg and its codecs, and the
magic numbers of the containers.
"""

from __future__ import annotations

import shlex
import struct
from pathlib import Path

HEAD = 4096  # bytes of a file that are enough to recognise it


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNREAD = _words(
    "3gp 3g2 aa3 aac ac3 ac4 adx aea ape aptx aptxhd asf ast at3 at9 avi binka brstm codec2 dff dfpwm dsf dss"
    " dts dtshd dv eac3 ec3 flv g722 g723 g726 g726le g728 g729 hca lbc loas m2ts m4a m4b m4r m4v mka mkv mlp"
    " mov mp4 mpc mpeg mpg mts nsv nut ofr oma omg opx qcp qoa ra rm rmvb sbc shn spx tak thd ts tta vag vob vqf"
    " webm wma wmv wv xma xwma"
)
"""Suffixes of formats that libsndfile cannot decode."""

_ENCODINGS = {
    "s16le": _words("raw pcm s16 s16le sw sln sln16 sln48 snd16 cdda cdr"),
    "mulaw": _words("ul ulaw mulaw u-law ulw"),
    "alaw": _words("al alaw a-law"),
    "s8": _words("s8 sb"),
    "u8": _words("u8 ub"),
    "s16be": _words("s16be"),
    "s24le": _words("s24le"),
    "s32le": _words("s32 s32le"),
    "f32le": _words("f32 f32le"),
    "f64le": _words("f64 f64le"),
}
RAW = {suffix: form for form, suffixes in _ENCODINGS.items() for suffix in suffixes}
"""Suffixes of samples without a header, and ffmpeg's names of their encoding."""

_MARKS = (
    (4, b"ftyp", "mp4/m4a"),
    (4, b"moov", "mp4/mov"),
    (4, b"mdat", "mp4/mov"),
    (4, b"wide", "mp4/mov"),
    (0, b"\x30\x26\xb2\x75", "wma"),
    (0, b"\x1a\x45\xdf\xa3", "webm/mkv"),
    (0, b"DSD ", "DSD (dsf)"),
    (0, b"FRM8", "DSD (dff)"),
    (0, b"#!AMR", "amr"),
    (0, b"MAC ", "Monkey's Audio (ape)"),
    (0, b"wvpk", "WavPack (wv)"),
    (0, b"TTA1", "True Audio (tta)"),
    (0, b"MP+", "Musepack (mpc)"),
    (0, b"MPCK", "Musepack (mpc)"),
    (0, b"ajkg", "Shorten (shn)"),
    (0, b"ADIF", "aac"),
    (0, b"\x0b\x77", "ac3"),
    (0, b"\x7f\xfe\x80\x01", "dts"),
    (0, b"FLV", "flv"),
    (0, b".RMF", "RealAudio (rm)"),
    (0, b".ra\xfd", "RealAudio (ra)"),
    (0, b"\x00\x00\x01\xba", "MPEG video"),
    (0, b"HCA\0", "hca"),
    (0, b"qoaf", "Quite OK Audio (qoa)"),
    (0, b"tBaK", "TAK"),
    (0, b"OFR ", "OptimFROG (ofr)"),
    (0, b"ea3\x03", "ATRAC (oma)"),
    (0, b"EA3\x01", "ATRAC (oma)"),
    (0, b"VAGp", "vag"),
    (0, b"RSTM", "brstm"),
    (0, b".AMR", "amr"),
    (0, b"\x00\x00\x01\xb3", "MPEG video"),
    (8, b"AVI ", "avi"),
    (8, b"QLCM", "Qualcomm PureVoice (qcp)"),
)
"""Signatures: offset, bytes, format."""

_OGG = ((b"\x7fFLAC", "Ogg FLAC"), (b"Speex", "Speex"), (b"\x80theora", "Theora video"), (b"CELT", "CELT"))
"""How the first packet of an Ogg stream begins."""

_WAV = {
    0x0004: "VSELP",
    0x0005: "CVSD",
    0x0010: "OKI ADPCM",
    0x0012: "MediaSpace ADPCM",
    0x0014: "G.723",
    0x0016: "Dialogic ADPCM",
    0x0017: "Dialogic ADPCM",
    0x0020: "Yamaha ADPCM",
    0x0022: "TrueSpeech",
    0x0028: "LRC",
    0x0040: "G.721 ADPCM",
    0x0042: "G.723.1",
    0x0045: "G.726",
    0x0050: "MPEG layer 2",
    0x0062: "Duck ADPCM",
    0x0064: "G.726",
    0x0065: "G.722",
    0x0083: "G.729",
    0x0085: "G.726",
    0x00FF: "AAC",
    0x0130: "Sipro ACELP",
    0x0160: "WMA",
    0x0161: "WMA",
    0x0162: "WMA",
    0x0163: "WMA lossless",
    0x0200: "Creative ADPCM",
    0x0270: "ATRAC3",
    0x028F: "G.722",
    0x0401: "Intel Music Coder",
    0x1602: "AAC",
    0x1610: "AAC",
    0x2000: "AC-3",
    0x2001: "DTS",
    0x5346: "Flash ADPCM",
    0x566F: "Vorbis in wav",
    0xA106: "AAC",
    0xF1AC: "FLAC in wav",
}
"""Format tags of WAV, other than those that libsndfile decodes."""

_CAF = frozenset({"aac", "aach", "aacl", "aacp", "ac-3", "amr", ".mp1", ".mp2", ".mp3", "ilbc", "opus", "QDM2", "QDMC"})
_AU = {23: "G.721", 24: "G.722", 25: "G.723", 26: "G.723"}


def unread_format(path: Path, head: bytes) -> str | None:
    """Name the format of a file that libsndfile does not decode, from its first bytes, else from its suffix.

    Returns
    -------
    str or None
        None for a format that libsndfile decodes, and for an unknown one.
    """
    marked = next((name for at, mark, name in _MARKS if head[at:].startswith(mark)), None)
    found = marked or _in_ogg(head) or _in_wav(head) or _in_other(head)
    suffix = path.suffix.lower().lstrip(".")
    return found or (suffix if suffix in UNREAD else None)


def conversion(path: Path) -> str:
    """Write how to convert a file, with the command for its folder."""
    target = path.with_suffix(".wav" if path.suffix.lower() == ".flac" else ".flac")
    words = ["ffmpeg", "-i", *(f"./{file.name}" if file.name.startswith("-") else file.name for file in (path, target))]
    return f"convert to wav or flac, e.g. with {' '.join(map(shlex.quote, words))}"


def raw_conversion(path: Path) -> str:
    """Write how to convert samples without a header, whose encoding follows from the suffix at best."""
    form = RAW.get(path.suffix.lower().lstrip("."), "s16le")
    return f"convert to wav or flac, e.g. with ffmpeg -f {form} -ar RATE -ac CHANNELS -i FILE out.flac"


def _in_ogg(head: bytes) -> str | None:
    if not head.startswith(b"OggS") or len(head) < 28:
        return None
    packet = head[27 + head[26] :]
    return next((name for mark, name in _OGG if packet.startswith(mark)), None)


def _in_wav(head: bytes) -> str | None:
    order = {b"RIFF": "<", b"RF64": "<", b"BW64": "<", b"RIFX": ">"}.get(head[:4])
    at = head.find(b"fmt ", 12)
    if order is None or head[8:12] != b"WAVE" or not 0 < at <= len(head) - 10:
        return None
    (tag,) = struct.unpack_from(f"{order}H", head, at + 8)
    if tag == 0xFFFE and at <= len(head) - 34:  # extensible: the tag begins the GUID
        (tag,) = struct.unpack_from(f"{order}H", head, at + 32)
    return _WAV.get(tag)


def _in_other(head: bytes) -> str | None:
    """Recognise what has no signature of its own, or a codec of AU and CAF."""
    if head.startswith(b".snd") and len(head) >= 16:
        return _AU.get(int.from_bytes(head[12:16], "big"))
    if head.startswith(b"caff") and (at := head.find(b"desc")) > 0:
        codec = head[at + 20 : at + 24].decode("latin-1").strip()
        return f"{codec} in caf" if codec in _CAF else None
    if head.startswith(b"\x80\0") and b"(c)CRI" in head:
        return "CRI ADX"
    if len(head) > 6 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # the sync word of ADTS; layer 0 is not MPEG's
        return "aac"
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return "MPEG transport stream (ts)"
    return None
