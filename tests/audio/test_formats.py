"""audio.formats: what libsndfile cannot decode is named, with the command that converts it."""

import shlex
import struct
from pathlib import Path

import numpy as np
import pytest

from audiofw.audio.formats import conversion, unread_format
from audiofw.audio.load import load
from audiofw.errors import DataError

av = pytest.importorskip("av")


def encode(path: Path, container: str, codec: str, rate: int, bit_rate: int = 0) -> Path:
    """Encode a tone with PyAV."""
    tone = (10_000 * np.sin(0.05 * np.arange(rate))).astype(np.int16)
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.codec_context.layout = "mono"
        if bit_rate:
            stream.bit_rate = bit_rate
        context = stream.codec_context
        resampler = av.AudioResampler(
            format=context.format or "s16", layout="mono", rate=rate, frame_size=context.frame_size or None
        )
        frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
        frame.sample_rate = rate
        for part in [*resampler.resample(frame), *resampler.resample(None), None]:
            file.mux(stream.encode(part))
    return path


@pytest.mark.parametrize(
    ("name", "container", "codec", "rate", "bit_rate", "said"),
    [
        ("a.wav", "wav", "g722", 16000, 64000, "G.722"),
        ("a.wav", "wav", "g726", 8000, 32000, "G.726"),
        ("a.wav", "wav", "aac", 16000, 0, "AAC"),
        ("a.wav", "wav", "ac3", 48000, 0, "AC-3"),
        ("a.wav", "wav", "mp2", 48000, 0, "MPEG layer 2"),
        ("a.wav", "wav", "adpcm_yamaha", 48000, 0, "Yamaha ADPCM"),
        ("a.wav", "wav", "adpcm_swf", 22050, 0, "Flash ADPCM"),
        ("a.wav", "adts", "aac", 16000, 0, "aac"),
        ("a.wav", "mp4", "aac", 16000, 0, "mp4/m4a"),
        ("a.wav", "webm", "libopus", 48000, 0, "webm/mkv"),
        ("a.wav", "wv", "wavpack", 48000, 0, "WavPack (wv)"),
        ("a.wav", "tta", "tta", 48000, 0, "True Audio (tta)"),
        ("a.wav", "avi", "pcm_s16le", 48000, 0, "avi"),
        ("a.wav", "flv", "nellymoser", 44100, 0, "flv"),
        ("a.wav", "mpegts", "mp2", 48000, 0, "MPEG transport stream (ts)"),
        ("a.au", "au", "adpcm_g722", 16000, 64000, "G.722"),
    ],
)
def test_what_libsndfile_cannot_read_is_named_with_its_remedy(tmp_path, name, container, codec, rate, bit_rate, said):
    path = encode(tmp_path / name, container, codec, rate, bit_rate)
    with pytest.raises(DataError) as caught:
        load(path)
    command = f"ffmpeg -i {name} a.flac"
    assert str(caught.value) == f"libsndfile cannot read {said}: convert to wav or flac, e.g. with {command}"


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"OggS\0\2" + bytes(20) + b"\1\x33" + b"\x7fFLAC\1\0", "Ogg FLAC"),
        (b"OggS\0\2" + bytes(20) + b"\1\x50" + b"Speex   1.2", "Speex"),
        (b"OggS\0\2" + bytes(20) + b"\1\x1e" + b"\1vorbis", None),
        (b"DSD " + bytes(60), "DSD (dsf)"),
        (b"FRM8" + bytes(60), "DSD (dff)"),
        (b"#!AMR-WB\n" + bytes(60), "amr"),
        (b"caff\0\1\0\0desc" + struct.pack(">qd4s", 32, 44100.0, b"aac "), "aac in caf"),
        (b"caff\0\1\0\0desc" + struct.pack(">qd4s", 32, 44100.0, b"lpcm"), None),
        (b"\xff\xfb\x90\x64" + bytes(60), None),  # MP3
        (b"fLaC" + bytes(60), None),
    ],
)
def test_signatures(head, said):
    assert unread_format(Path("a.wav"), head) == said


def test_the_command_can_be_pasted(tmp_path):
    assert conversion(tmp_path / "-my clip.flac").endswith("with ffmpeg -i './-my clip.flac' './-my clip.wav'")
    assert shlex.split(conversion(tmp_path / "a b.m4a").partition("with ")[2])[2:] == ["a b.m4a", "a b.flac"]


RAW = "probably raw samples without a header: {ffmpeg} -f "


@pytest.mark.parametrize(
    ("name", "head", "said"),
    [
        ("a.g722", b"\xfa\xde", "libsndfile cannot read g722: {convert}"),
        ("a.bin", b"\x80\0\0\x24\3\x12\4\1" + bytes(26) + b"(c)CRI", "libsndfile cannot read CRI ADX: {convert}"),
        ("a.qoa", b"qoaf", "libsndfile cannot read Quite OK Audio (qoa): {convert}"),
        ("a.pcm", b"\1\2", RAW + "s16le -ar RATE -ac CHANNELS -i FILE out.flac"),
        ("a.ulaw", b"\1\2", RAW + "mulaw -ar RATE -ac CHANNELS -i FILE out.flac"),
        ("a.xyz", b"\1\2", "{unknown}; if another program plays it, {convert}"),
        ("a.wav", b"\1\2", "{unknown}"),
        ("a", b"\1\2", "{unknown}"),
    ],
)
def test_what_has_no_header_gets_its_remedy(tmp_path, name, head, said):
    path = tmp_path / name
    path.write_bytes(head + b"\1\2" * 500)
    with pytest.raises(DataError) as caught:
        load(path)
    ffmpeg, unknown = "convert to wav or flac, e.g. with ffmpeg", "not audio, or damaged: Format not recognised"
    assert str(caught.value) == said.format(convert=f"{ffmpeg} -i {name} a.flac", ffmpeg=ffmpeg, unknown=unknown)
