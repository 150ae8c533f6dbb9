"""``audiofw export``: write a model for programs without Python."""

from __future__ import annotations

from pathlib import Path

from audiofw.bundle.files import read_bundle
from audiofw.bundle.load import read_model
from audiofw.bundle.model import Model
from audiofw.bundle.onnx.export import TOLERANCE, Exported, classifier_to_onnx, to_onnx
from audiofw.cli.arguments import OneLineParser, add_bundle, output_error
from audiofw.errors import PluginError
from audiofw.system.atomic import write_whole
from audiofw.system.tables import open_console

FORMATS = """\
onnx: one graph, from samples to label and probabilities; classifier: only the classifier, from feature vectors, in \
ONNX; default: onnx"""


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
    parser.add_argument("--format", choices=["onnx", "classifier"], default="onnx", help=FORMATS)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: model.onnx")
    options = parser.parse_args(argv)
    facts, files = read_bundle(Path(options.bundle).expanduser())
    model = read_model(facts, files, options.bundle)
    whole, output = options.format == "onnx", options.output or Path("model.onnx")
    made = (to_onnx if whole else classifier_to_onnx)(model, files)
    found = _check(made, options.bundle, options.tolerance)
    _write(output, made.data)
    if whole:
        from audiofw.bundle.onnx.readme import write_readme

        _write(_readme(output), write_readme(model, made, output.name).encode())
    console = open_console()
    console.print(f"{output}: {found}", soft_wrap=True)
    console.print(_whole(model, output) if whole else _classifier(model), soft_wrap=True)
    return 0


def _check(made: Exported, bundle: str, tolerance: float) -> str:
    """Say how close the converted model is, or refuse it."""
    found = f"largest difference {made.difference:.2g} on {made.rows} inputs, {made.relabelled} with a different label"
    if made.relabelled or not made.difference <= tolerance:
        raise PluginError(
            f"{bundle}: the ONNX model predicts differently, so it was not written: {found}; tolerance {tolerance:g}"
        )
    return found


def _write(file: Path, data: bytes) -> None:
    try:
        write_whole(file, data)
    except OSError as error:
        raise output_error("--output", file, error) from error


def _whole(model: Model, output: Path) -> str:
    rate = model.unit.parts[0].sample_rate
    return f"input: samples at {rate} Hz; outputs: {_label(model)}, probabilities; how to call it: {_readme(output)}"


def _readme(output: Path) -> Path:
    return output.with_name(f"{output.name}.md")


def _classifier(model: Model) -> str:
    audio = f"{model.facts['feature']['name']} + {model.unit.pooling.name}"
    label = "class index" if model.thresholds is None else _label(model)
    return f"input: {model.width} numbers per clip ({audio}); outputs: {label}, probabilities"


def _label(model: Model) -> str:
    return "label" if model.thresholds is None else "0 or 1 for each label"
