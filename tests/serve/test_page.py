"""The page in a real browser: a sound is uploaded or recorded, and the prediction or an error is shown."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pitches import ByPitch, wav

pytest.importorskip("gradio", reason='needs pip install "audiofw[serve]"')
pytest.importorskip("selenium", reason="needs selenium")

import uvicorn
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from audiofw.serve.server import make_app, quiet_gradio
from audiofw.serve.service import Service, UploadLimits

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
PATIENCE = 30  # seconds

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on the path")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve on a free local port until the tests are done."""
    with quiet_gradio(), socket.create_server(("127.0.0.1", 0)) as listening:
        app = make_app(Service(ByPitch(), UploadLimits(seconds=5, megabytes=1, confidence=0.5)))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    folder = tmp_path_factory.mktemp("browser")
    (folder / "spoken.wav").write_bytes(wav(3200, seconds=2))
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in [*FLAGS, f"--user-data-dir={folder}/profile", f"--use-file-for-fake-audio-capture={folder}/spoken.wav"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, address) -> Iterator[webdriver.Chrome]:
    """Open the page; at the end, the browser console must be free of errors."""
    browser.get(address)
    wait(browser, "input[type=file]")
    yield browser
    assert not complaints(browser)


def complaints(page: webdriver.Chrome) -> list[str]:
    """The console's errors since the last call."""
    return [line["message"] for line in page.get_log("browser") if line["level"] == "SEVERE"]


def wait(page: webdriver.Chrome, selector: str, shown: bool = False):
    def found(page: webdriver.Chrome):
        return [e for e in page.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed() or not shown]

    return WebDriverWait(page, PATIENCE).until(found, f"no {selector}")[0]


def upload(page: webdriver.Chrome, folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    page.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(folder / name))


def test_an_uploaded_sound_gets_its_label_bars_and_spectrogram(page, address, tmp_path):
    upload(page, tmp_path, "a tone.wav", wav(3200))
    assert wait(page, ".answer.sure", shown=True).text.startswith("high")
    bars = wait(page, "#bars", shown=True).text
    assert bars.index("high") < bars.index("middle <b>") < bars.index("low")
    image = wait(page, ".spectrogram img", shown=True)
    assert image.get_attribute("alt").startswith("Mel spectrogram of 0.5 seconds")
    assert page.execute_script("return arguments[0].naturalHeight", image) > 50
    loaded = page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if name.startswith(address)]
    assert not [name for name in loaded if not name.startswith((address, "data:", "blob:"))]


def test_bad_sound_says_why_and_the_next_good_one_is_answered(page, tmp_path):
    upload(page, tmp_path, "notes.wav", b"no sound at all")
    assert "not audio, or damaged" in wait(page, ".answer.bad", shown=True).text
    assert not [e for e in page.find_elements(By.CSS_SELECTOR, "#bars, .spectrogram") if e.is_displayed()]
    assert all("Waveform load error" in line for line in complaints(page))  # the browser cannot play it either
    page.find_element(By.CSS_SELECTOR, "button[aria-label=Clear]").click()
    wait(page, ".answer.waiting", shown=True)
    wait(page, "input[type=file]")
    upload(page, tmp_path, "b.wav", wav(200))
    assert wait(page, ".answer.sure", shown=True).text.startswith("low")


def test_a_sound_between_the_classes_is_not_sure(page, tmp_path):
    upload(page, tmp_path, "c.wav", wav(1600))
    assert "Unknown" in wait(page, ".answer.unsure", shown=True).text


def test_a_recording_by_microphone_is_answered(page):
    page.find_element(By.CSS_SELECTOR, "button[aria-label='Record audio']").click()
    wait(page, ".record-button", shown=True).click()
    stop = wait(page, ".stop-button", shown=True)
    WebDriverWait(page, PATIENCE).until(lambda page: wait(page, "time.duration").text >= "0:01", "nothing recorded")
    stop.click()
    assert wait(page, ".answer.sure", shown=True).text.startswith("high")
