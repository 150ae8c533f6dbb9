"""What recorders write in the headers of wav files."""

import os
import struct
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from conftest import write_wav
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiofw.data.headers import read_recorder, read_recorder_header
from audiofw.data.recorder import Recorded

MOTH = b"Recorded at 19:17:30 04/12/2019 (UTC%s) %s at medium gain while battery was 4.2V and temperature was 18.5C."
BY = b"by AudioMoth 24F319055FDF2F5B"


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def field(number: int, content: bytes) -> bytes:
    """A field of Wildlife Acoustics' chunk."""
    return struct.pack("<HI", number, len(content)) + content


def info(comment: bytes, artist: bytes = b"") -> bytes:
    return chunk(b"LIST", b"INFO" + chunk(b"ICMT", comment.ljust(256, b"\0")) + chunk(b"IART", artist.ljust(32, b"\0")))


def recording(folder, *, before: bytes = b"", after: bytes = b"", name: str = "rec.wav"):
    """A wav file with chunks before and after its samples."""
    path = write_wav(folder / name, np.zeros(101))
    content = path.read_bytes()
    body = content[12:36] + before + content[36:] + after
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)
    return path


def at(hours: float, *when: int) -> datetime:
    return datetime(*when, tzinfo=timezone(timedelta(hours=hours)))


@pytest.mark.parametrize(("zone", "hours"), [(b"", 0), (b"+1", 1), (b"-3", -3), (b"+5:30", 5.5)])
def test_audiomoths_comment(tmp_path, zone, hours):
    path = recording(tmp_path, before=info(MOTH % (zone, BY)))
    assert read_recorder_header(path) == Recorded(at(hours, 2019, 12, 4, 19, 17, 30), None, "24F319055FDF2F5B")


def test_audiomoths_deployment_is_a_site(tmp_path):
    comment = MOTH % (b"", b"during deployment 0FE081F80FE081F0")
    path = recording(tmp_path, before=info(comment, b"AudioMoth 24F319055FDF2F5B"))
    assert read_recorder_header(path)[1:] == ("0FE081F80FE081F0", "24F319055FDF2F5B")


def test_guano_after_the_samples(tmp_path):
    text = (
        "GUANO|Version: 1.0\r\nTimestamp: 2025-06-12T04:30:00.250+02:00\r\nSerial: 1234\r\n"
        "NABAT|Site Name: Müller's moor\r\nNote: Site Name: elsewhere\n"
    )
    path = recording(tmp_path, after=chunk(b"guan", text.encode()))
    assert read_recorder_header(path) == Recorded(at(2, 2025, 6, 12, 4, 30), "Müller's moor", "1234")


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (b"2014-04-02 22:59:14-05:00", at(-5, 2014, 4, 2, 22, 59, 14)),
        (b"2014-04-02 22:59:14.000", datetime(2014, 4, 2, 22, 59, 14)),
        (b"yesterday", None),
    ],
)
def test_wildlife_acoustics_fields(tmp_path, time, expected):
    fields = field(0, b"\1\0") + field(2, b"S4A01234\0") + field(4, b"POND") + field(5, time) + field(0xFFFF, b"")
    path = recording(tmp_path, after=chunk(b"wamd", fields))
    assert read_recorder_header(path) == Recorded(expected, "POND", "S4A01234")


def test_a_prefix_that_is_the_serial_number_is_not_a_site(tmp_path):
    path = recording(tmp_path, after=chunk(b"wamd", field(2, b"S4A01234") + field(4, b"S4A01234")))
    assert read_recorder_header(path) == Recorded(None, None, "S4A01234")


def test_a_name_counts_before_the_header_that_a_part_of_a_recording_has_kept(tmp_path):
    before = info(MOTH % (b"+1", BY))
    same = recording(tmp_path, before=before, name="POND_20191204_191730.wav")
    assert read_recorder(same) == Recorded(at(1, 2019, 12, 4, 19, 17, 30), "POND", "24F319055FDF2F5B")
    part = recording(tmp_path, before=before, name="POND_20191204_192000.wav")
    assert read_recorder(part).time == datetime(2019, 12, 4, 19, 20)


@pytest.mark.parametrize(
    "after",
    [
        chunk(b"guan", b"\xff\xfe:::\nTimestamp: 9999-99-99T99:99:99+99:99\n\nSerial\n"),
        chunk(b"guan", b"Timestamp: 2025-06-12T04:30:00+99:00"),
        chunk(b"guan", b"Timestamp: 0001-01-01T00:00:00"),
        chunk(b"wamd", b"\5\0\xff\xff\xff\xff2014"),
        chunk(b"LIST", b"INFOICMT\xff\xff\xff\xffRecorded at 99:99:99 99/99/9999 (UTC+99)"),
        chunk(b"LIST", b""),
        b"guan\xff\xff\xff\xff",
        b"gua",
    ],
)
def test_garbage_says_nothing(tmp_path, after):
    assert read_recorder_header(recording(tmp_path, after=after)) == Recorded()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([b"guan", b"wamd", b"LIST"]), content=st.binary(max_size=80), cut=st.integers(0, 200))
def test_any_bytes_are_survived(tmp_path, name, content, cut):
    path = recording(tmp_path, before=chunk(name, (b"INFO" if name == b"LIST" else b"") + content))
    path.write_bytes(path.read_bytes()[: 400 - cut])
    read_recorder(path)


def test_other_files_say_nothing(tmp_path):
    (tmp_path / "text.wav").write_text("Recorded at 19:17:30 04/12/2019 (UTC)")
    assert read_recorder_header(tmp_path / "text.wav") == read_recorder_header(tmp_path / "missing.wav") == Recorded()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_nothing_is_taken_from_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")  # opening it would wait for a writer
    assert read_recorder_header(tmp_path / "pipe.wav") == Recorded()


def test_chunks_after_more_than_4_gb_of_samples_are_found(tmp_path):
    path, size = tmp_path / "long.wav", 5 * 10**9
    with path.open("wb") as file:  # sparse: it takes no space
        file.write(
            b"RF64" + b"\xff" * 4 + b"WAVE" + chunk(b"ds64", struct.pack("<QQQI", size + 100, size, size // 2, 0))
        )
        file.write(b"data" + b"\xff" * 4)
        file.seek(size, 1)
        file.write(chunk(b"guan", b"Timestamp: 2025-06-12T04:30:00"))
    assert read_recorder_header(path).time == datetime(2025, 6, 12, 4, 30)
