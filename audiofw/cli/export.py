"""``audiofw export``: write a model's classifier for programs without Python."""

from __future__ import annotations

from pathlib import Path

from audiofw.bundle.files import read_bundle
from audiofw.bundle.load import read_model
from audiofw.bundle.onnx.export import TOLERANCE, to_onnx
from audiofw.cli.arguments import OneLineParser, add_bundle, output_error
from audiofw.errors import PluginError
from audiofw.system.atomic import write_whole
from audiofw.system.tables import open_console


def main(argv: list[str]) -> int:
    """Run ``audiofw export``.

    Raises
    ------
    PluginError
        For a classifier that cannot be converted, or that predicts differently after conversion: no file is written.
    """
    parser = OneLineParser(
        "audiofw export", description="Convert a model's classifier to ONNX, and check it on the model's golden clips."
    )
    add_bundle(parser, tolerance=TOLERANCE)
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="default: onnx")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: model.onnx")
    options = parser.parse_args(argv)
    return _export(options.bundle, options.output or Path("model.onnx"), options.tolerance)


def _export(bundle: str, output: Path, tolerance: float) -> int:
    facts, files = read_bundle(Path(bundle).expanduser())
    model = read_model(facts, files, bundle)
    made = to_onnx(model, files)
    found = f"largest difference {made.difference:.2g} on {made.rows} inputs, {made.relabelled} with a different label"
    if made.relabelled or not made.difference <= tolerance:
        raise PluginError(
            f"{bundle}: the ONNX model predicts differently, so it was not written: {found}; tolerance {tolerance:g}"
        )
    try:
        write_whole(output, made.data)
    except OSError as error:
        raise output_error("--output", output, error) from error
    console = open_console()
    console.print(f"{output}: {found}", soft_wrap=True)
    audio = f"{model.facts['feature']['name']} + {model.facts['pooling']['name']}"
    outputs = "class index" if model.thresholds is None else "0 or 1 for each label"
    console.print(f"input: {model.width} numbers per clip ({audio}); outputs: {outputs}, probabilities", soft_wrap=True)
    return 0
