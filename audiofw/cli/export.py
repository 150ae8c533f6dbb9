"""``audiofw export``: write a model for programs without Python."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from audiofw.bundle.files import read_bundle
from audiofw.bundle.load import read_model
from audiofw.bundle.model import Model
from audiofw.bundle.onnx.export import TOLERANCE, Exported, classifier_to_onnx, to_onnx
from audiofw.cli.arguments import OneLineParser, add_bundle, output_error
from audiofw.errors import ConfigError, PluginError
from audiofw.system.atomic import write_whole
from audiofw.system.tables import open_console

FORMATS = """\
onnx: one graph, from samples to label and probabilities; classifier: only the classifier, from feature vectors, in \
ONNX; page: a folder that is a web page with the graph; default: onnx"""
JUMP = 0.01  # on copies of golden clips: the number of trees that jump grows with that of clips
RUNTIME = "--format page: the folder in which you have run npm install onnxruntime-web"


def main(argv: list[str]) -> int:
    """Run ``audiofw export``.

    Raises
    ------
    PluginError
        For a model that cannot be converted, or that predicts differently after conversion: no file is written.
    """
    parser = OneLineParser(
        "audiofw export", description="Convert a model to ONNX, and check it on the model's golden clips."
    )
    add_bundle(parser, tolerance=TOLERANCE)
    parser.add_argument("--format", choices=[*WRITERS], default="onnx", help=FORMATS)
    parser.add_argument("--runtime", type=Path, metavar="FOLDER", help=RUNTIME)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: model.onnx; page for a page")
    options = parser.parse_args(argv)
    if (options.format == "page") != (options.runtime is not None):
        raise ConfigError(f"audiofw export: --format page and --runtime FOLDER belong together; {RUNTIME}")
    facts, files = read_bundle(Path(options.bundle).expanduser())
    model = read_model(facts, files, options.bundle)
    made = (classifier_to_onnx if options.format == "classifier" else to_onnx)(model, files)
    found = _check(made, options.bundle, options.tolerance)
    output, said = WRITERS[options.format](model, made, options)
    console = open_console()
    console.print(f"{output}: {found}", soft_wrap=True)
    console.print(said, soft_wrap=True)
    return 0


def _write_graph(model: Model, made: Exported, options: Namespace) -> tuple[Path, str]:
    from audiofw.bundle.onnx.readme import write_readme

    output = options.output or Path("model.onnx")
    readme = output.with_name(f"{output.name}.md")
    _write(output, made.data)
    _write(readme, write_readme(model, made, output.name).encode())
    rate = model.unit.parts[0].sample_rate
    return output, f"input: samples at {rate} Hz; outputs: {_label(model)}, probabilities; how to call it: {readme}"


def _write_classifier(model: Model, made: Exported, options: Namespace) -> tuple[Path, str]:
    output = options.output or Path("model.onnx")
    _write(output, made.data)
    audio = f"{model.facts['feature']['name']} + {model.unit.pooling.name}"
    label = "class index" if model.thresholds is None else _label(model)
    return output, f"input: {model.width} numbers per clip ({audio}); outputs: {label}, probabilities"


def _write_page(model: Model, made: Exported, options: Namespace) -> tuple[Path, str]:
    from audiofw.bundle.onnx.page import WORKER, make_web_page

    output = options.output or Path("page")
    files = make_web_page(model, made, options.runtime.expanduser())
    if output.is_dir() and any(output.iterdir()) and not (output / WORKER).is_file():
        raise ConfigError(f"--output {output}: contains other files; name a new folder")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error("--output", output, error) from error
    for name, data in files.items():
        _write(output / name, data)
    return output, f"try it: python3 -m http.server -d {output} 8000, and open http://localhost:8000"


Writer = Callable[[Model, Exported, Namespace], tuple[Path, str]]
WRITERS: dict[str, Writer] = {"onnx": _write_graph, "classifier": _write_classifier, "page": _write_page}


def _check(made: Exported, bundle: str, tolerance: float) -> str:
    """Say how close the converted model is, or refuse it."""
    found = f"largest difference {made.largest:.2g} on {made.rows} inputs, {made.relabelled} with a different label"
    if made.relabelled or not (made.difference <= tolerance and made.copies <= max(tolerance, JUMP)):
        raise PluginError(
            f"{bundle}: the ONNX model predicts differently, so it was not written: {found}; tolerance {tolerance:g}"
            "; decision trees jump where a feature is at a threshold, which --tolerance 0.01 accepts"
        )
    return found


def _write(file: Path, data: bytes) -> None:
    try:
        write_whole(file, data)
    except OSError as error:
        raise output_error("--output", file, error) from error


def _label(model: Model) -> str:
    return "label" if model.thresholds is None else "0 or 1 for each label"
