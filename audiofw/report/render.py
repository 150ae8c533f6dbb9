"""Render templates to self-contained pages, with style and script inside: a browser loads nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
import math
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from audiofw.system.tables import show_size, show_time

OPTION = re.compile(
    r"""((?<![\w./-])\+?[a-z]\w*(?:\.\w+)*=(?:'[^']*'|\[[^\]]*\]|(?:[^\s,;()'\[]|,(?=\S))*[^\s,;:.()'\[]))"""
)
TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Render a template; every value is escaped."""
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    from markupsafe import Markup

    return str(_environment().get_template(template).render(**values, script=Markup(script), script_hash=_hash(script)))


@functools.cache  # loading the templates takes longer than rendering them
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES, encoding="utf-8"),
        bytecode_cache=_compiled(jinja2),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number,
        percent=percent,
        path=path,
        hz=hz,
        seconds=show_time,
        size=show_size,
        signed=signed,
        clean=clean,
        options=options,
        option=option,
    )
    return environment


def _compiled(jinja2: Any) -> Any:
    """Keep compiled templates beside them, as Python keeps modules: compiling them takes a third of a report's time.

    jinja2 compares their source; its release and this file, which sets its options, are in the files' names.
    """

    class Compiled(jinja2.FileSystemBytecodeCache):
        def load_bytecode(self, bucket: Any) -> None:
            try:
                super().load_bytecode(bucket)
            except Exception:  # noqa: BLE001  # whatever a damaged file leads to
                bucket.reset()

        def dump_bytecode(self, bucket: Any) -> None:
            if not sys.dont_write_bytecode:
                with suppress(OSError):
                    Path(self.directory).mkdir(exist_ok=True)
                    super().dump_bytecode(bucket)

    made_by = hashlib.sha256(jinja2.__version__.encode() + Path(__file__).read_bytes()).hexdigest()
    return Compiled(str(TEMPLATES / "__pycache__"), f"%s-{made_by[:16]}.{sys.implementation.cache_tag}.jinja")


def _hash(script: str) -> str:
    """Hash the script for the page's content security policy, so that nothing else runs, whatever a label contains."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def clean(text: Any) -> str:
    """Replace what UTF-8 cannot encode: a file name may contain any bytes."""
    return str(text).encode("utf-8", "replace").decode()


def options(text: str) -> Any:
    """Mark the options in a text, such as ``split=kfold``, as code; the rest is escaped."""
    from markupsafe import Markup, escape

    parts = OPTION.split(text)  # those with odd indices are options
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part) for i, part in enumerate(parts)
    )


def option(value: Any) -> str:
    """Format the value of an option; "–" where there is none."""
    return "–" if value is ... else "null" if value is None else clean(value)


def number(value: float | None, digits: int = 3) -> str:
    """Format a score; "–" for None."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}".replace("-", "−")


def percent(value: float | None) -> str:
    """Format a share in percent."""
    return "–" if value is None else f"{100 * value:.0f}\N{NO-BREAK SPACE}%"


def signed(value: float) -> str:
    """Format a number with a typographic minus."""
    return f"{value:.3f}".replace("-", "−")


def hz(value: float) -> str:
    """Format a frequency."""
    text = f"{value / 1000:.3g} kHz" if value >= 1000 else f"{value:.0f} Hz"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def path(points: Iterable[tuple[float, float]], left: float, top: float, width: float, height: float) -> str:
    """Write points of the unit square as an SVG path, y upwards."""
    return "M" + "L".join(f"{left + width * x:.4g},{top + height * (1 - y):.4g}" for x, y in points)
