"""Several features at once: ``feature=mel+mfcc`` composes, with typed options, presets and names of their own."""

from __future__ import annotations

import pytest
from weighing import drop_scaled

from audiofw.contract.combined import MemberName, read_names
from audiofw.errors import ConfigError
from audiofw.experiment.hydra_app import compose


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("mel", []),
        ("mel+mfcc", ["mel:mel", "mfcc:mfcc"]),
        ("ripples+wide:ripples", ["ripples:ripples", "wide:ripples"]),
        ("short:mel", ["short:mel"]),
        ("mel+", []),
        ("+mel", []),
        ("mel++mfcc", []),
        (":mel", []),
    ],
)
def test_names_are_read(name, members):
    assert read_names(name) == [MemberName(*member.split(":")) for member in members]


def members(*words: str):
    return {member.name: member for member in compose(words)[1]["feature"].members_}


def test_each_member_has_options_of_its_own():
    made = members("feature=mel+wide:mel", "feature.mel.n_mels=32", "feature.wide.n_fft=4096")
    assert [made[name].feature.options["n_mels"] for name in ("mel", "wide")] == [32, 128]
    assert [made[name].feature.options["n_fft"] for name in ("mel", "wide")] == [2048, 4096]


def test_a_member_has_a_pooling_of_its_own_by_name_or_with_options():
    made = members(
        "feature=mel+mfcc+stft", "feature.mel.pooling=stats", "feature.mfcc.pooling={name: stats, delta: false}"
    )
    assert made["mel"].pooling.options["delta"] is True
    assert made["mfcc"].pooling.options["delta"] is False
    assert made["stft"].pooling is None


def test_a_member_has_a_sampling_rate_and_a_duration_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(drop_scaled(tmp_path / "plugins")))
    made = members("feature=mel+mfcc+strict", "feature.mel.audio.sample_rate=8000", "feature.mfcc.audio.duration=1")
    assert [member.sample_rate for member in made.values()] == [8000, None, 4000]
    assert [member.duration for member in made.values()] == [None, 1, None]


def test_third_party_features_can_be_members(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(drop_scaled(tmp_path / "plugins")))
    (tmp_path / "by.txt").write_text("2")
    made = members("feature=mel+scaled", f"feature.scaled.by={tmp_path / 'by.txt'}")
    assert made["scaled"].feature.files["by"][0].name == "by.txt"


def test_a_preset_can_name_a_combination(tmp_path):
    from audiofw.experiment.hydra_app import CONFIG

    assert CONFIG["config_name"] == "config"
    preset = tmp_path / "experiment" / "both.yaml"
    preset.parent.mkdir()
    preset.write_text(
        "# @package _global_\ndefaults:\n  - override /feature: mel+mfcc\nfeature: {join: columns, mel: {n_mels: 20}}\n"
    )
    _, choices = compose([f"hydra.searchpath=[file://{tmp_path}]", "+experiment=both"])
    assert choices["feature"].join == "columns"
    assert choices["feature"].members_[0].feature.options["n_mels"] == 20


def test_identity_depends_on_everything_that_members_have():
    words = [
        ["feature=mel+mfcc"],
        ["feature=mfcc+mel"],
        ["feature=mel+mfcc", "feature.mel.n_mels=20"],
        ["feature=mel+mfcc", "feature.mel.pooling=stats"],
        ["feature=mel+mfcc", "feature.mel.audio.duration=1"],
        ["feature=mel+mfcc", "feature.join=columns"],
    ]
    identities = [compose(each)[1]["feature"].identity for each in words]
    assert all(one != other for i, one in enumerate(identities) for other in identities[:i])
    assert identities[0] == compose(words[0])[1]["feature"].identity


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("feature=mel+mel", "feature=mel+mel: two members are called 'mel'; name one: other:mel"),
        ("feature=mel+join:mfcc", "feature=mel+join:mfcc: a member cannot be called 'join'"),
        ("feature=mel+mfc", "feature=mfc: unknown feature (did you mean 'mfcc'?)"),
        ("feature=mel+yamnt", "feature=yamnt: unknown feature (did you mean 'yamnet'?)"),
        (
            "feature=mel+mfcc feature.mel.n_melz=3",
            "feature.mel.n_melz: unknown key (did you mean 'feature.mel.n_mels'?)",
        ),
        ("feature=mel+a:mel feature.a.n_mels=0", "feature.a.n_mels=0: must be int ≥ 1"),
        ("feature=mel+mfcc feature.mel.n_mels=x", "feature.mel.n_mels: Value 'x' is not a whole number"),
        ("feature=mel+mfcc feature.join=sum", "feature.join=sum: must be average | stack | columns"),
        ("feature=mel+mfcc feature.mel.pooling=stat", "pooling=stat: unknown pooling (did you mean 'stats'?)"),
        ("feature=mel+mfcc feature.mel.pooling=3", "feature.mel.pooling=3: give a pooling's name"),
        (
            "feature=mel+mfcc feature.mel.pooling={name:stats,dlta:1}",
            "feature.mel.pooling.dlta: unknown option (did you mean 'delta'?)",
        ),
        ("feature=mel+mfcc feature.mel.audio.duration=0", "feature.mel.audio.duration=0: must be float "),
        ("feature=mel+mfcc +feature.mel.audio.rate=1", "feature.mel.audio.rate: unknown option"),
        ("feature=mel+yamnet", "feature.yamnet.model=YamNet_w8a8.onnx.zip: no such file; it is in the wheel of"),
        ("feature=mel+embedding", "feature.embedding.model is missing: give the network's file"),
        (
            "feature=mel+strict feature.strict.audio.sample_rate=8000",
            "feature.strict.audio.sample_rate=8000: feature=strict needs 4000 Hz; remove it",
        ),
    ],
)
def test_what_is_wrong_is_one_line(words, message, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(drop_scaled(tmp_path / "plugins")))
    with pytest.raises(ConfigError) as caught:
        compose(words.split())
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
