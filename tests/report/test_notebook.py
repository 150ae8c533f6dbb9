"""A run and a model say what they are, in one line and as a card in a notebook."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from bundles import make_run

import audiofw as fw
from audiofw.api import RunResult
from audiofw.bundle.notebook import card, list_classes, model_card, model_line

VOID = {"br", "hr", "img"}


class Tags(HTMLParser):
    """Checks that every tag is closed, and collects the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag not in {"script", "b"}
        self.open += [tag]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += f" {data}"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("notebook"), "model=lda", "split=kfold")


def test_a_run_shows_its_scores_and_where_it_is(run):
    result = RunResult(run)
    text = Tags(result._repr_html_()).text
    assert f"accuracy {result.score:.3f} (95% interval " in text
    assert "36 of 36 clips, 5 folds" in text
    assert "3 classes: high, low, mid" in text
    assert str(run) in text
    assert "lda on mfcc + stats" in text
    assert re.fullmatch(
        r"RunResult\(.*: lda on mfcc \+ stats, accuracy .*, 36 of 36 clips tested, 3 classes: high, low, mid\)",
        repr(result),
    )


def test_a_run_without_results_says_so(tmp_path):
    assert repr(RunResult(tmp_path)) == f"RunResult({tmp_path}: no results)"
    assert "no results" in Tags(RunResult(tmp_path)._repr_html_()).text


def test_a_model_shows_what_it_is_trained_on_and_what_it_hears(run):
    model = fw.load_model(run)
    text = Tags(model._repr_html_()).text
    assert "lda on mfcc + stats" in text
    assert "all 36 clips, after scoring" in text
    assert "0.6 s of a recording, at 22050 Hz" in text
    assert repr(model).startswith("Model(lda on mfcc, 3 classes: high, low, mid, accuracy ")


def test_a_model_without_facts_is_shown_too():
    assert model_line({}, object(), "mel", ["a"]) == "Model(object on mel, 1 class: a)"
    assert "object on mel" in Tags(model_card({}, object(), "mel", ["a"])).text


def test_names_from_outside_are_text():
    page = card("<script>alert(1)</script>", [("<b>", "<script>\x1b[31m</script>")])
    assert "alert(1)" in Tags(page).text
    assert "\x1b" not in page


def test_many_classes_are_counted():
    assert list_classes([str(i) for i in range(300)]) == "300 classes: 0, 1, 2, 3, 4, …"
