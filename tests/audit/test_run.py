"""The jobs of a sweep ask the audit the same, and it is done once; anything else is asked anew."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from audiofw.audit import run as auditing
from audiofw.audit.probe import Probes, to_vector
from audiofw.audit.run import find_leaks, probe_all
from audiofw.data.dataset import Clip
from audiofw.data.splits import Fold
from audiofw.experiment.hydra_app import compose


@pytest.fixture
def asked(tmp_path):
    """Clips, their probes, folds and options."""
    clips = []
    for i, label in enumerate(["cat", "dog"] * 4):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, np.random.default_rng(i // 2).uniform(-0.5, 0.5, 16000), 16000)
        clips.append(Clip(path, path.name, label))
    config, _ = compose([f"data.source={tmp_path}", "n_jobs=1"])
    return clips, probe_all(clips, config, n_jobs=1), [Fold(np.arange(6), np.arange(6, 8))], config


@pytest.fixture
def audits(monkeypatch) -> list[int]:
    """The number of clips of each audit."""
    done = []
    original = auditing.audit

    def counted(clips, *given, **options):
        done.append(len(clips))
        return original(clips, *given, **options)

    monkeypatch.setattr(auditing, "audit", counted)
    auditing._kept.cache_clear()
    return done


def test_the_same_question_is_answered_once(asked, audits):
    clips, probes, folds, config = asked
    first = find_leaks(clips, probes, folds, config)
    assert [finding.kind for finding in first][:1] == ["contradiction"]
    again = find_leaks(list(clips), Probes(map(to_vector, probes)), folds, replace(config, score="f1"))
    assert again == first
    again.clear()
    assert find_leaks(clips, probes, folds, config) == first
    assert audits == [8]


@pytest.mark.parametrize("other", ["clips", "label", "probes", "folds", "seed", "duration"])
def test_another_question_is_asked_anew(asked, audits, other):
    clips, probes, folds, config = asked
    find_leaks(clips, probes, folds, config)
    if other == "clips":
        clips = [*clips[:-1], clips[-1]._replace(name="other.wav")]
    elif other == "label":
        clips = [*clips[:-1], clips[-1]._replace(label="cow")]
    elif other == "probes":
        probes = Probes(map(to_vector, [*probes[:-1], probes[0]]))
    elif other == "folds":
        folds = [Fold(np.arange(2, 8), np.arange(2))]
    elif other == "seed":
        config = replace(config, seed=1)
    else:
        config = replace(config, audio=replace(config.audio, duration=1.0))
    find_leaks(clips, probes, folds, config)
    assert audits == [8, 8]
