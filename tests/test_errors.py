"""The errors: what they say, what they carry, and how they travel between processes."""

from __future__ import annotations

import pickle
import traceback

import pytest

from audiofw.errors import (
    LAYOUT,
    AudiofwError,
    ClipError,
    ConfigError,
    DataError,
    PluginError,
    RemoteTraceback,
    printable,
)


@pytest.mark.parametrize(
    ("error", "message", "reason"),
    [
        (DataError("empty file", clip="a.wav"), "a.wav: empty file", "empty file"),
        (DataError("empty file"), "empty file", "empty file"),
        (
            PluginError("x.py:3: KeyError: 'f0'", clip="a.wav", plugin="feature=pitch"),
            "feature=pitch: a.wav: x.py:3: KeyError: 'f0'",
            "feature=pitch: x.py:3: KeyError: 'f0'",
        ),
        (ClipError("gave NaN", plugin="feature=pitch"), "feature=pitch: gave NaN", "feature=pitch: gave NaN"),
        (
            PluginError("feature=pitch: out of order", plugin="feature=pitch", clip="a.wav"),
            "a.wav: feature=pitch: out of order",
            "feature=pitch: out of order",
        ),
        (ConfigError("seed=-1: must be int ≥ 0", option="seed", clip="a.wav"), *["seed=-1: must be int ≥ 0"] * 2),
        (AudiofwError(), "", ""),
    ],
)
def test_the_message_names_plugin_and_clip_and_the_reason_leaves_the_clip_out(error, message, reason):
    assert str(error) == message
    assert error.reason == reason


def test_what_an_error_carries_is_none_unless_it_is_known():
    error = PluginError("no", option="pad.to")
    assert (error.clip, error.plugin, error.option) == (None, None, "pad.to")


@pytest.mark.parametrize(
    ("message", "option"),
    [
        ("feature.hop=0: give 1 or more", "feature.hop"),
        ("data.skip: no such file", "data.skip"),
        ("n_jobs=0: give the number of workers", "n_jobs"),
        ("options are a list: ['a']", None),
        ("--plan: leave it out", None),
        ("/sounds/list.csv: no column found", None),
    ],
)
def test_a_wrong_option_is_the_one_that_the_message_begins_with(message, option):
    assert ConfigError(message).option == option
    assert pickle.loads(pickle.dumps(ConfigError(message, option="seed"))).option == "seed"


def raised(error: AudiofwError, cause: Exception) -> AudiofwError:
    try:
        try:
            raise cause
        except Exception as caught:
            raise error from caught
    except AudiofwError as caught:
        return caught


@pytest.mark.parametrize("kind", [AudiofwError, DataError, PluginError, ClipError, ConfigError])
def test_a_pickled_error_keeps_what_it_carries_and_its_traceback_as_text(kind):
    error = raised(kind("no wood", clip="a.wav", plugin="model=tree", option="model.depth"), KeyError("f0"))
    other = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(error))))  # to a process, and on to another
    assert type(other) is kind
    assert str(other) == str(error)
    assert vars(other) == vars(error)
    assert isinstance(other.__cause__, RemoteTraceback)
    shown = "".join(traceback.format_exception(other))
    assert "KeyError: 'f0'" in shown
    assert "raise cause" in shown  # the line of this file where it began


def test_an_error_that_was_never_raised_travels_without_a_traceback():
    assert pickle.loads(pickle.dumps(DataError("empty"))).__cause__ is None


def test_a_printable_name_is_one_line_without_control_characters():
    assert printable("a\x1b[2J\x9b\n\r\tä ‍.wav") == r"a\x1b[2J\x9b\n\r\tä ‍.wav"
    assert printable("not\udcffutf8") == r"not\xffutf8"
    assert printable("a\x1b\nb", keep=LAYOUT) == "a\\x1b\nb"
