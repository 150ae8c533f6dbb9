"""Every bundle has a model card, which people may edit."""

import re

import pytest
import yaml
from bundles import copy_of, make_run
from conftest import tone, write_wav

import audiofw as fw

GROUPS = "data.pattern=(?P<label>low|mid|high)/(?P<group>.)"  # the first digit of a clip's number


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("card"), "audit=warn", "split=kfold", GROUPS)


def test_the_head_has_the_scores_as_hugging_face_reads_them(run):
    card = (run / "model/model_card.md").read_text()
    head = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)[1])
    assert head["pipeline_tag"] == "audio-classification"
    (entry,) = head["model-index"]
    (result,) = entry["results"]
    assert (entry["name"], result["dataset"]["name"]) == ("lightgbm on mfcc for sounds", "sounds")
    assert {"type": "accuracy", "name": "accuracy", "value": 1.0} in result["metrics"]
    card_of = pytest.importorskip("huggingface_hub").ModelCard(card)
    assert card_of.data.eval_results[0].metric_value == 1.0


def test_it_says_what_the_data_was_and_how_it_scored(run):
    card = (run / "model/model_card.md").read_text()
    assert "36 clips of sounds, in 10 groups. The model was trained on all clips" in card
    assert "| mid | 12 |" in card
    assert re.search(r"accuracy \*\*1\.000\*\* \(95 % interval 0\.\d{3} to 1\.000, over ", card)
    assert re.search(r"^\| mid \| 1\.000 \| 1\.000 \| 1\.000 \| \d+ \|$", card, re.MULTILINE)
    assert "The audit of the data found:\n\n- " in card
    assert str(run.parent) not in card


def test_it_scores_the_groups_that_are_large_enough(run):
    card = (run / "model/model_card.md").read_text()
    assert "By group (10), the worst first:" in card
    assert re.findall(r"^\| (\d) \| 1\.000 \| .* \| (\d+) \|$", card, re.MULTILINE) == [("1", "9")]


def test_a_card_for_several_labels_counts_each(tmp_path):
    for label, frequency in {"a|x": 300, "b": 2000, "a|x,b": 5000}.items():
        for i in range(6):
            write_wav(tmp_path / "sounds" / label / f"{i}.wav", tone(frequency * (1 + 0.01 * i), 0.2, seed=i))
    words = [
        "task=multilabel",
        "score=f1_micro",
        "n_jobs=1",
        "audit=false",
        "report=false",
        "feature=mfcc",
        "pooling=stats",
        "model=lda",
    ]
    fw.run([f"data.source={tmp_path}/sounds", "audio.duration=0.2", *words], path=tmp_path / "run")
    card = (tmp_path / "run/model/model_card.md").read_text()
    assert "of which one recording may have several" in card
    assert "| a\\|x | 12 |" in card
    assert "The data was not audited" in card


def test_an_edited_card_is_no_changed_bundle(run, tmp_path):
    bundle = copy_of(run, tmp_path)
    (bundle / "model_card.md").write_text("Our own words.")
    assert fw.load_model(bundle).classes_.tolist() == ["high", "low", "mid"]
