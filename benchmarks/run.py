"""Benchmark audiofw against other libraries, print a table and write it to ``docs/benchmarks.md``.

    python benchmarks/run.py --esc10 ESC10.ZIP --digits FSDD.ZIP [--peers PYTHON] [--only tutorial small mel …]

Without archives, synthesised sounds are used. ``--peers`` is a Python interpreter with audiofw and
``benchmarks/requirements.txt`` installed; by default the current one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench import Bench
from report import Row, markdown, plain
from rows import ROWS
from timing import MissingPeerError

HERE = Path(__file__).resolve().parent


def main() -> None:
    args = read_arguments()
    with tempfile.TemporaryDirectory(prefix="audiofw-bench-") as scratch:
        bench = Bench(HERE, Path(scratch), sys.executable, args.peers, args.repeats)
        bench.prepare(args.esc10, args.digits)
        table: list[Row] = []
        libraries = bench.versions()
        for name in args.only:  # write the page after each, so that an interrupted run leaves its results
            table += measured(bench, name)
            write(args.out, markdown(table, libraries, real=bool(args.esc10)))
    sys.stdout.write(plain(table) + "\n")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--esc10", type=existing, help="zip archive of ESC-10: ogg files in one folder per class")
    parser.add_argument("--digits", type=existing, help="zip archive of spoken digits: wav files")
    parser.add_argument("--peers", default=sys.executable, help="Python interpreter with the peer libraries")
    parser.add_argument("--repeats", type=int, default=3, help="rounds for whole processes (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROWS", help=", ".join(ROWS))
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "benchmarks.md")
    return parser.parse_args()


def existing(text: str) -> Path:
    path = Path(text).resolve()
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such file")
    return path


def measured(bench: Bench, name: str) -> list[Row]:
    """Measure a group of rows; a missing peer or a failure becomes a row that says so."""
    started = time.perf_counter()
    try:
        rows = ROWS[name](bench)
    except MissingPeerError as missing:
        rows = [Row(name, note=f"not measured: {missing}")]
    except RuntimeError as failure:
        sys.stderr.write(f"{failure}\n")
        rows = [Row(name, note=f"failed: {str(failure).strip().splitlines()[-1]}")]
    sys.stderr.write(f"{plain(rows)}\n({name}: {time.perf_counter() - started:.0f} s)\n")
    return rows


if __name__ == "__main__":
    main()
