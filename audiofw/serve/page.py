"""The web page, by Gradio: upload or record a sound, and see the model's prediction."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Set
from functools import partial
from pathlib import Path
from typing import Any

import gradio
from fastapi import FastAPI

from audiofw.errors import DataError
from audiofw.serve import html
from audiofw.serve.service import Service
from audiofw.serve.turns import BusyError

log = logging.getLogger(__name__)

MOST_BARS = 10
MOST_WAITING = 64  # recordings that wait for their answer; others are refused
FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Liberation Sans", "sans-serif"]
STYLE = Path(__file__).with_name("page.css")
SWEEP, KEEP = 60, 600  # seconds between deletions of old uploads, and for which these can be played again


def mount_page(app: FastAPI, service: Service) -> FastAPI:
    """Mount the page at the root of an application, after its existing paths."""
    return gradio.mount_gradio_app(
        app,
        make_page(service),
        path="/",
        theme=_theme(),
        css_paths=[STYLE],
        footer_links=[],
        max_file_size=service.limits.bytes,
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        show_error=False,
    )


def make_page(service: Service) -> gradio.Blocks:
    """Create the page."""
    model, limits = service.model, service.limits
    with gradio.Blocks(title="What is this sound?", analytics_enabled=False, delete_cache=(SWEEP, KEEP)) as page:
        gradio.HTML(html.head(model), elem_classes="head")
        with gradio.Row(equal_height=False):
            with gradio.Column():
                sound = gradio.Audio(
                    label="Sound", sources=["upload", "microphone"], type="filepath", buttons=[], editable=False
                )
                take_uploads_only(sound)
                gradio.HTML(html.describe_input(model.facts, limits), elem_classes="input")
            with gradio.Column():
                answer_box = gradio.HTML(html.WAITING)
                bars = gradio.Label(
                    label="Probabilities", num_top_classes=MOST_BARS, show_heading=False, visible=False, elem_id="bars"
                )
                picture = gradio.HTML(visible=False)
        gradio.HTML(html.about(model), elem_classes="about")
        sound.change(
            partial(_answer_in_turn, service),
            sound,
            [answer_box, bars, picture],
            api_visibility="private",
            concurrency_limit=None,
            show_progress="minimal",
        )
    page.temp_file_sets.append(_Leftovers(Path(sound.GRADIO_CACHE)))
    return page.queue(max_size=MOST_WAITING)


class _Leftovers:
    """The files of interrupted uploads, as a set from which Gradio deletes the old ones: it forgets about them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __iter__(self) -> Iterator[str]:
        return (str(file) for file in self._folder.iterdir() if file.is_file())

    def __isub__(self, deleted: Set[str]) -> _Leftovers:
        return self


async def _answer_in_turn(service: Service, path: str | None) -> tuple[Any, Any, Any]:
    try:
        return await service.turns.run(show_answer, service, path)
    except BusyError as error:
        return _shown(html.refusal(str(error))), _hidden(), _hidden()


def take_uploads_only(sound: Any) -> None:
    """Restrict a component to uploaded files.

    By default it downloads a recording from any URL in a request; and in a mounted page, Gradio does not check whether
    the file named in a request is an upload.
    """
    move, preprocess, folder = sound.async_move_resource_to_block_cache, sound.preprocess, sound.GRADIO_CACHE

    def check(path: str | Path | None) -> None:
        sent = Path(path or "").resolve()
        if not (sent.is_file() and sent.is_relative_to(Path(folder).resolve())):
            raise gradio.Error("no recording was sent", print_exception=False)

    async def move_upload(path: str | Path | None) -> Any:
        check(path)
        return await move(path)

    def preprocess_upload(payload: Any) -> Any:
        if payload is not None:
            check(payload.path)
        return preprocess(payload)

    sound.async_move_resource_to_block_cache, sound.preprocess = move_upload, preprocess_upload


def _theme() -> gradio.themes.Base:
    """Create a theme with the report's colours and local fonts: none is downloaded."""
    theme = gradio.themes.Base(primary_hue="violet", font=FONT, font_mono=FONT)
    light = {"body_background_fill": "#fafaf8", "background_fill_primary": "#fff", "block_background_fill": "#fff"}
    light |= {"body_text_color": "#1d1c1f", "body_text_color_subdued": "#66646c", "block_label_text_color": "#66646c"}
    light |= {"border_color_primary": "#dcdae0", "block_border_color": "#dcdae0", "stat_background_fill": "#5a3fc0"}
    dark = {"body_background_fill": "#141316", "background_fill_primary": "#1d1c20", "block_background_fill": "#1d1c20"}
    dark |= {"body_text_color": "#eceaf0", "body_text_color_subdued": "#a19ea8", "block_label_text_color": "#a19ea8"}
    dark |= {"border_color_primary": "#34323a", "block_border_color": "#34323a", "stat_background_fill": "#9680ff"}
    return theme.set(**light, **{f"{name}_dark": colour for name, colour in dark.items()}, block_radius="12px")


def show_answer(service: Service, path: str | None) -> tuple[Any, Any, Any]:
    """Classify an uploaded or recorded file: returns prediction, bars and spectrogram, as far as available."""
    if path is None:
        return _shown(html.WAITING), _hidden(), _hidden()
    try:
        answer = service(Path(path))
        y, sr = service.load(Path(path))
        picture = html.spectrogram_image(y, sr)
    except DataError as error:
        return _shown(html.refusal(str(error))), _hidden(), _hidden()
    except Exception:  # a bug, in audiofw or a plugin: show it instead of waiting forever
        log.exception("a recording failed")
        return _shown(html.refusal("internal error; see the server's log")), _hidden(), _hidden()
    bars = _shown(answer.probabilities) if answer.probabilities else _hidden()
    return (
        _shown(html.verdict(answer, service.limits, several=service.model.thresholds is not None)),
        bars,
        _shown(picture),
    )


def _shown(value: Any) -> Any:
    return gradio.update(value=value, visible=True)


def _hidden() -> Any:
    return gradio.update(value=None, visible=False)
