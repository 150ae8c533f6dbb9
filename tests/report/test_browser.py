"""The report in a real browser: it loads, plays, sorts, fits on a phone and follows the dark mode."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from conftest import tone, write_wav
from reports import made_up_run, odd_sounds

from audiofw.cli.main import main
from audiofw.data.dataset import Clip
from audiofw.report.build import write_report
from audiofw.report.recordings import RunRecordings
from audiofw.report.sweep import write_sweep_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver: apt-get install chromium chromium-driver"
)

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --autoplay-policy=no-user-gesture-required"
)
PHONE, DESK = 390, 1280


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """Make the reports of a run, of a run with many classes, and of a sweep."""
    folder = tmp_path_factory.mktemp("pages")
    source = odd_sounds(folder / "sounds", clips=6)
    words = [
        f"data.source={source}",
        f"hydra.run.dir={folder / 'run'}",
        "model=lightgbm",
        "model.n_estimators=5",
        "n_jobs=1",
    ]
    with patch.dict(os.environ, {"AUDIOFW_CACHE": str(folder / "cache")}):
        assert main([*words, "split=kfold", "split.n_splits=2", "feature=mel", "feature.n_mels=32"]) == 0
    many = write_report(made_up_run(folder / "many", 40))
    for i, classes in enumerate((4, 9, 6)):
        run = made_up_run(folder / f"sweep/{i}", classes, each=10)
        (run / "config.yaml").write_text(json.dumps({"model": {"name": f"model_{'cab'[i]}"}}))
        write_report(run)
    sweep, wrong = write_sweep_report(folder / "sweep"), with_recordings(folder / "wrong")
    return {"run": folder / "run/report.html", "many": many, "sweep": sweep, "mistakes": wrong}


def with_recordings(folder: Path) -> Path:
    """Make the report of a synthetic run whose clips are tones."""
    made_up_run(folder, 3, each=16)
    with (folder / "predictions.csv").open(newline="") as file:
        rows = [(row["path"], row["label"]) for row in csv.DictReader(file)]
    clips = [
        Clip(write_wav(folder / "sounds" / name, tone(300 + 20 * i, 0.3)), name, label)
        for i, (name, label) in enumerate(rows)
    ]
    return write_report(folder, RunRecordings({clip.name: clip for clip in clips}, None))


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def visit(browser, pages) -> Callable:
    """Open a page at a given width, in light or dark mode."""

    def go(name: str, width: int = DESK, scheme: str = "light"):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        wish = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)
        browser.get_log("browser")  # what an earlier page said
        browser.get(pages[name].as_uri())
        return browser

    return go


@pytest.mark.parametrize("name", ["run", "many", "sweep"])
def test_it_loads_without_a_word_in_the_console(visit, name):
    browser = visit(name)
    assert browser.execute_script("return document.readyState") == "complete"
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("name", ["run", "many", "sweep"])
def test_nothing_but_the_page_itself_is_loaded(visit, name):
    browser = visit(name)
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [address for address in loaded if not address.startswith("data:")] == []


def test_labels_have_not_become_code(visit):
    browser = visit("run")
    assert browser.execute_script("return document.scripts.length") == 1
    assert '<script>alert("x")</script>' in browser.find_element("id", "classes").text


def test_pictures_have_words_and_a_size(visit):
    pictures = visit("run").execute_script("return [...document.images].map(i => [i.alt, i.complete, i.naturalWidth])")
    assert len(pictures) >= 9
    assert all(alt and complete and width > 0 for alt, complete, width in pictures)


def test_every_player_plays_and_one_at_a_time(visit):
    browser = visit("run")
    play = """
        const done = arguments[0], heard = [];
        (async () => {
          for (const audio of document.querySelectorAll("audio")) {
            try { await audio.play(); } catch (error) { done(String(error)); return; }
            heard.push([audio.duration, audio.readyState, audio.error && audio.error.message,
                        [...document.querySelectorAll("audio")].filter(one => !one.paused).length]);
          }
          done(heard);
        })();
    """
    heard = browser.execute_async_script(play)
    assert len(heard) >= 9
    for duration, ready, error, playing in heard:
        assert 0.2 < duration < 1
        assert ready >= 2
        assert error is None
        assert playing == 1


def test_a_click_on_a_spectrogram_plays_from_there(visit):
    browser = visit("run")
    view = browser.find_element("css selector", ".clip.playable .view")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", view)
    seek = """
        const view = arguments[0], done = arguments[1], audio = view.parentElement.querySelector("audio");
        const box = view.getBoundingClientRect();
        audio.addEventListener("play", () => done(audio.currentTime / audio.duration), { once: true });
        const [x, y] = [box.left + box.width / 2, box.top + 5];
        const click = new MouseEvent("click", { clientX: x, clientY: y, bubbles: true });
        document.elementFromPoint(x, y).dispatchEvent(click);
    """
    assert browser.execute_async_script(seek, view) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("name", ["run", "many", "sweep"])
def test_the_page_is_never_wider_than_the_screen(visit, name, width):
    browser = visit(name, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return document.documentElement.scrollHeight") > 800


@pytest.mark.parametrize("name", ["run", "sweep"])
def test_it_is_dark_where_the_reader_likes_it_dark(visit, name):
    def colours(scheme: str) -> tuple[float, float]:
        style = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        paper, ink = (re.findall(r"\d+", text) for text in visit(name, scheme=scheme).execute_script(style))
        return sum(map(int, paper[:3])) / 3, sum(map(int, ink[:3])) / 3

    (light_paper, light_ink), (dark_paper, dark_ink) = colours("light"), colours("dark")
    assert light_paper > 200 > 60 > light_ink
    assert dark_paper < 60 < 200 < dark_ink


def column(browser, i: int) -> list[str]:
    cells = (
        "return [...document.querySelectorAll('#leaderboard tbody tr')].map(row => row.cells[arguments[0]].innerText)"
    )
    return browser.execute_script(cells, i)


def test_the_sweeps_table_sorts_by_a_click_and_by_the_keyboard(visit):
    browser = visit("sweep")
    header = browser.find_elements("css selector", "#leaderboard th")[2]
    button = header.find_element("tag name", "button")
    button.click()
    assert column(browser, 2)[:3] == ["model_a", "model_b", "model_c"]
    assert header.get_attribute("aria-sort") == "ascending"
    button.send_keys("\ue007")  # Enter
    assert column(browser, 2)[:3] == ["model_c", "model_b", "model_a"]
    assert header.get_attribute("aria-sort") == "descending"
    assert len(browser.find_elements("css selector", "#leaderboard th[aria-sort]")) == 1


def test_numbers_sort_as_numbers_and_the_missing_stay_below(visit):
    browser = visit("sweep")
    headers = browser.find_elements("css selector", "#leaderboard th")
    place = next(i for i, header in enumerate(headers) if header.text.startswith("accuracy"))
    headers[place].find_element("tag name", "button").click()
    values = [float(text.split()[0]) for text in column(browser, place)]
    assert values == sorted(values)
    assert len(set(values)) > 1
    headers[0].find_element("tag name", "button").click()
    assert [text.split()[0] for text in column(browser, 0) if text[:1].isdigit()] == ["1", "2", "3"]


def test_links_of_the_leaderboard_open_the_runs(visit):
    browser = visit("sweep")
    browser.find_element("css selector", "#leaderboard a").click()
    assert browser.find_element("id", "scores").is_displayed()


def test_every_mistake_is_listed_and_can_be_filtered(visit):
    browser = visit("many")
    browser.execute_script("document.querySelector('#mistakes details').open = true")
    shown = "return [...document.querySelectorAll('#all-mistakes tbody tr')].filter(row => row.offsetParent).length"
    every = browser.execute_script(shown)
    assert every > 8
    browser.find_element("css selector", ".filter input").send_keys("class 007")
    assert 0 < browser.execute_script(shown) < every


def test_the_score_is_on_screen_in_a_leaderboard_on_a_phone(visit):
    browser = visit("sweep", PHONE)
    right = "return document.querySelector('#leaderboard tbody td:nth-child(2)').getBoundingClientRect().right"
    assert browser.execute_script(right) < PHONE


@pytest.mark.parametrize("name", ["run", "sweep"])
def test_no_table_is_cut_on_a_phone(visit, name):
    browser = visit(name, PHONE)
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    cut = """return [...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1)
        .map(one => one.innerText.slice(0, 40))"""
    assert browser.execute_script(cut) == []


def test_cells_on_a_phone_say_what_they_are(visit):
    browser = visit("sweep", PHONE)
    labels = "return [...document.querySelectorAll('#leaderboard tbody tr:first-child td')].map(td => td.dataset.label)"
    assert browser.execute_script(labels)[:3] == ["rank", "accuracy", "model"]
    assert "training per fold" in browser.execute_script(labels)


def test_mistakes_in_the_table_can_be_played_one_at_a_time(visit):
    browser = visit("mistakes")
    browser.execute_script("document.querySelector('#mistakes details').open = true")
    assert len(browser.find_elements("css selector", ".play")) > 8
    play = """
        const [first, second] = document.querySelectorAll("button.play"), done = arguments[0];
        first.click();
        const one = first.parentElement.querySelector("audio");
        one.addEventListener("playing", () => {
          second.click();
          const two = second.parentElement.querySelector("audio");
          two.addEventListener("playing", () => done([one.paused, two.paused, first.textContent, second.textContent]));
        });
    """
    assert browser.execute_async_script(play) == [True, False, "▶", "■"]


def test_the_filter_says_how_many_are_left(visit):
    browser = visit("many")
    browser.execute_script("document.querySelector('#mistakes details').open = true")
    browser.find_element("css selector", ".filter input").send_keys("class 007")
    count = browser.find_element("css selector", ".filters output").text
    assert re.fullmatch(r"\d+ of \d+", count)


def test_the_matrix_shows_counts_or_shares(visit):
    browser = visit("run")
    shown = "return [...document.querySelectorAll('.matrix .share')].some(one => one.offsetParent !== null)"
    assert not browser.execute_script(shown)
    browser.execute_script("document.querySelector('.as-share').click()")
    assert browser.execute_script(shown)
