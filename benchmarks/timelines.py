"""From recordings of known content to a scored detector: what the events found are worth, and what bounds them.

    python benchmarks/timelines.py ESC10.ZIP FOLDER [--classes all] [--snr 10] [--windows 0.5 1]

The recordings are those of ``benchmarks/scenes.py``: clips of ESC-10 in noise, with no source on both sides. The bound
is the accuracy of the same kind of model on the events cut out by their true times: it need not find them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import audiofw

SHOWN = ("event_f1", "event_f1_macro", "event_f1_collar", "segment_f1", "frame_accuracy", "psds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--classes", nargs="+", default=["Dog bark", "Rooster", "Person sneeze"], help="or: all")
    parser.add_argument("--snr", type=float, default=10.0, help="in dB")
    parser.add_argument("--windows", type=float, nargs="*", default=[], help="seconds to choose among")
    parser.add_argument("overrides", nargs="*", help="of audiofw, after --")
    args = parser.parse_intermixed_args()
    scenes = [sys.executable, str(Path(__file__).with_name("scenes.py")), str(args.archive), str(args.folder)]
    subprocess.run([*scenes, "--snr", str(args.snr), "--classes", *args.classes], check=True)
    data = [f"data.source={args.folder / 'sounds'}", f"data.annotations={args.folder / 'raven'}", "split=predefined"]
    quick = ["report=false", "audit=false", "bundle=false", *args.overrides]
    windows = f"timeline.windows={args.windows}"
    found = audiofw.run([*data, *quick, "data.unit=windows", "audio.duration=0.5", "timeline.tune=true", windows])
    cut = audiofw.run([*data, *quick, "data.unit=event", "timeline=false"])
    show(found.metrics, cut.score)


def show(metrics: dict, bound: float) -> None:
    """Print the scores beside finding nothing, and the event F1 beside its bound."""
    lines = [f"{len(metrics['timeline']['per_class'])} classes, {metrics['timeline']['n_events']} events"]
    for name in (name for name in SHOWN if name in metrics["scores"]):
        value, nothing = metrics["scores"][name]["pooled"], metrics["baseline"][name]
        lines.append(f"{name:16} {value:.3f}   nothing found: {nothing:.3f}")
    share = metrics["scores"]["event_f1"]["pooled"] / bound
    lines.append(f"accuracy on the events cut out by their true times: {bound:.3f}; event F1 is {share:.2f} of it")
    for way in metrics["timeline"]["by_fold"]:
        lines.append(f"windows of {way['window']:g} s every {way['hop']:g} s; {way['rule']}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
