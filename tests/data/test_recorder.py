"""Dates, sites and serial numbers in the names of recordings."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from audiofw.data.recorder import Recorded, read_file_name

MORNING = datetime(2025, 6, 12, 4, 30)


@pytest.mark.parametrize(
    ("name", "site", "serial"),
    [
        ("20250612_043000.WAV", None, None),  # AudioMoth
        ("20250612_043000T.WAV", None, None),  # AudioMoth, triggered
        ("24F319055FDF2F5B_20250612_043000.WAV", None, "24F319055FDF2F5B"),
        ("SITE_20250612_043000.wav", "SITE", None),
        ("a/b/Old pond-3_20250612_043000.flac", "Old pond-3", None),
        ("C:\\rec\\SITE_20250612_043000.wav", "SITE", None),
        ("S4A01234_20250612_043000.wav", None, "S4A01234"),
        ("S4A01234_20250612$043000.wav", None, "S4A01234"),  # clock set by GPS
        ("SITE_0+1_20250612_043000_000.wav", "SITE", None),  # two channels
        ("5678.250612043000.wav", None, "5678"),  # SoundTrap
        ("20250612043000.wav", None, None),
        ("2025-06-12_04-30-00.wav", None, None),
        ("2025-06-12 04.30.00.wav", None, None),
        ("POND_2025-06-12T04:30.ogg", "POND", None),
        ("20250612_0430.wav", None, None),
    ],
)
def test_the_date_in_a_name_is_read(name, site, serial):
    assert read_file_name(name) == Recorded(MORNING, site, serial)


@pytest.mark.parametrize(
    ("name", "zone", "site"),
    [
        ("20250612T043000+1000_REC.flac", timedelta(hours=10), "REC"),  # Frontier Labs
        ("20250612T043000-0330.flac", -timedelta(hours=3, minutes=30), None),
        ("20250612T043000Z.wav", timedelta(0), None),
    ],
)
def test_a_time_zone_is_kept(name, zone, site):
    assert read_file_name(name) == Recorded(MORNING.replace(tzinfo=timezone(zone)), site)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "rec.wav",
        "0_jackson_0.wav",  # digits
        "1-100032-A-0.ogg",  # ESC-50
        "20250612.wav",
        "20251312_043000.wav",  # a 13th month
        "20250230_043000.wav",
        "20250612_253000.wav",
        "120250612_0430001.wav",
        "12345678901234567890.wav",
        "20250612/rec.wav",  # a folder's name may be that of a day, but says no time
    ],
)
def test_other_figures_are_not_a_date(name):
    assert read_file_name(name) == Recorded()


def test_the_time_of_day_moves_with_the_seconds_and_keeps_its_zone():
    assert Recorded(MORNING).at(0) == "2025-06-12T04:30:00"
    assert Recorded(MORNING).at(70000.25) == "2025-06-12T23:56:40.250"
    assert Recorded(MORNING.replace(tzinfo=UTC)).at(86400) == "2025-06-13T04:30:00+00:00"
    assert Recorded().at(3) is None


def test_a_counter_after_the_time_is_not_a_zone():
    assert read_file_name("X_20250612_043000-0100.wav").time == MORNING
