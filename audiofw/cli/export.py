"""``audiofw export``: a model for programs that are not Python."""

from __future__ import annotations

from pathlib import Path

from audiofw.bundle.files import read_bundle
from audiofw.bundle.load import read_model
from audiofw.bundle.onnx.export import TOLERANCE, to_onnx
from audiofw.cli.arguments import OneLineParser
from audiofw.errors import ConfigError, PluginError
from audiofw.system.atomic import write_whole
from audiofw.system.tables import open_console


def main(argv: list[str]) -> int:
    """Run ``audiofw export``.

    Raises
    ------
    PluginError
        For a classifier that cannot be turned into ONNX, or then gives other answers: no file is left.
    """
    parser = OneLineParser(
        "audiofw export", description="Write a model's classifier in ONNX, tried on its golden clips."
    )
    parser.add_argument("bundle", metavar="RUN_OR_BUNDLE", help="a run's folder, the model/ in it, or a zip of that")
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="default: onnx")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: model.onnx here")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help=f"of a probability; default: {TOLERANCE:g}")
    options = parser.parse_args(argv)
    return _export(options.bundle, options.output or Path("model.onnx"), options.tolerance)


def _export(bundle: str, output: Path, tolerance: float) -> int:
    facts, files = read_bundle(Path(bundle).expanduser())
    model = read_model(facts, files, bundle)
    made = to_onnx(model, files)
    found = f"largest difference {made.difference:.2g} over {made.rows} rows, {made.relabelled} with another label"
    if made.relabelled or not made.difference <= tolerance:
        raise PluginError(f"{bundle}: ONNX gives other answers, no file is left: {found}; tolerance {tolerance:g}")
    try:
        write_whole(output, made.data)
    except OSError as error:
        raise ConfigError(f"--output {output}: cannot be written: {error.strerror}") from error
    console = open_console()
    console.print(f"{output}: {found}", soft_wrap=True)
    audio = f"{model.facts['feature']['name']} pooled by {model.facts['pooling']['name']}"
    console.print(
        f"it takes rows of {model.width} numbers, {audio}; outputs: class number, probabilities", soft_wrap=True
    )
    return 0
