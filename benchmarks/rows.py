"""The measurements: one function per group of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench import Bench
from report import Row
from small import small, tutorial
from timing import MissingPeerError, Ran, in_turn, median, ratios, run, spread

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
ARTICLE_SECONDS, TRAINING_SECONDS = 90, 20  # training time of the slower model after which no further fold starts


def processes(
    name: str, theirs: Sequence[Ran], ours: Sequence[Ran], mark: float, stretch: float, note: str = ""
) -> Row:
    """Compare the wall time of two processes; the note gives the CPU time, which depends less on the load."""
    cpu = spread(ratios(*([one.cpu_seconds for one in side] for side in (theirs, ours))))
    note = "; ".join(filter(None, (note, f"CPU time {cpu}")))
    return compared(name, *([one.seconds for one in side] for side in (theirs, ours)), "s", mark, stretch, note)


def accuracy(bench: Bench) -> list[Row]:
    """Cross-validated accuracy of the article's model and of the default config; and the cost of max_features=null."""
    words = ("article", "gbm", bench.data / "pets", ARTICLE_SECONDS)
    said = run(bench.script("training.py", *words, python=bench.python)).said
    shown = [f"{said['accuracy'][name]:.1%}" for name in ("theirs", "default")]
    note = f"target: not lower; {said['tested']} of {said['clips']} clips tested"
    return [
        Row("article's script, accuracy, default config", *shown, note=note),
        trained("sklearn_gbm, max_features=null vs. sqrt", said),
    ]


def compared(
    name: str,
    theirs: Sequence[float],
    ours: Sequence[float],
    unit: str,
    mark: float | None = None,
    stretch: float | None = None,
    note: str = "",
) -> Row:
    """Compare two lists of measurements round by round."""
    shown = [f"{median(side):.3g} {unit}" for side in (theirs, ours)]
    return Row(name, *shown, ratios(theirs, ours), mark, stretch, note=note)


# -- Kernels ---------------------------------------------------------------------------------------------------------


def mel(bench: Bench) -> list[Row]:
    said = run(bench.script("kernels.py", "mel", bench.data / "wav", **ONE_THREAD)).said
    note = f"differs by {said['difference']:.1g} dB at most"
    return [compared("librosa, mel in dB, kernel", said["theirs"], said["ours"], "ms", 4, 5, note)]


def nine(bench: Bench) -> list[Row]:
    said = run(bench.script("kernels.py", "nine", bench.data / "wav", **ONE_THREAD)).said
    return [compared("librosa, nine features by separate calls, kernel", said["theirs"], said["ours"], "ms", 5, 8)]


def twelve(bench: Bench) -> list[Row]:
    said = run(bench.script("kernels.py", "twelve", bench.data / "wav", **ONE_THREAD)).said
    return [compared("librosa, all of descriptors by separate calls, kernel", said["theirs"], said["ours"], "ms", 5, 8)]


def egemaps(bench: Bench) -> list[Row]:
    said = run(bench.script("kernels.py", "egemaps", bench.data / "wav", **ONE_THREAD)).said
    name, note = "openSMILE eGeMAPS vs. nine features, kernel", "different features"
    return [compared(name, said["theirs"], said["ours"], "ms", 10, 20, note)]


# -- Files to a table ------------------------------------------------------------------------------------------------


def joblib(bench: Bench) -> list[Row]:
    goals = {"wav": (4.0, 6.0), "ogg": (2.5, 4.0)}
    return [from_files(bench, "librosa", "librosa + joblib", kind, *goal) for kind, goal in goals.items()]


def torchaudio(bench: Bench) -> list[Row]:
    goals = {"wav": (3.0, 4.0), "ogg": (2.0, 3.0)}
    try:
        return [from_files(bench, "torchaudio", "torchaudio", kind, *goal) for kind, goal in goals.items()]
    except MissingPeerError as missing:
        return [Row("torchaudio, files to mel in dB", note=str(missing))]


def from_files(bench: Bench, library: str, title: str, kind: str, mark: float, stretch: float) -> Row:
    ran = in_turn(
        {
            name: lambda name=name: bench.script("extraction.py", name, bench.data / kind)
            for name in (library, "audiofw")
        },
        bench.repeats,
    )
    inside = [[one.said["seconds"] for one in ran[name]] for name in (library, "audiofw")]
    note = f"{ran[library][0].said['clips']} clips; without imports {spread(ratios(*inside))}"
    name = f"{title}, {kind} files to mel in dB, process"
    return processes(name, ran[library], ran["audiofw"], mark, stretch, note)


# -- audiofw against itself ------------------------------------------------------------------------------------------


def cache(bench: Bench) -> list[Row]:
    rows = []
    for kind in ("wav", "ogg"):
        said = run(bench.script("stages.py", "cache", bench.data / kind, bench.folder(), python=bench.python)).said
        shown = [f"{median(said[name]):.0f} clips/s" for name in ("cold", "warm")]
        rows.append(Row(f"from the cache, feature stage, {kind}", *shown, ratios(said["warm"], said["cold"]), 20, 200))
    return rows


def growth(bench: Bench) -> list[Row]:
    said = run(bench.script("stages.py", "growth", bench.data / "digits", bench.folder(), python=bench.python)).said
    shown = [f"{median(said[name]):.2f} ms" for name in ("few", "all")]
    name = f"time per clip, {said['n_all']} digits vs. {said['n_few']}"
    return [Row(name, *shown, ratios(said["all"], said["few"]), 1.1, 1.0, at_most=True, note="lower is better")]


def startup(bench: Bench) -> list[Row]:
    ran = in_turn(
        {
            "theirs": lambda: bench.script("eager.py", "--help", python=bench.python),
            "ours": lambda: bench.audiofw("--help"),
        },
        2 * bench.repeats,
    )
    return [processes("eager imports, audiofw --help, process", ran["theirs"], ran["ours"], 8, 40)]


# -- Training --------------------------------------------------------------------------------------------------------


def training(bench: Bench) -> list[Row]:
    """The libraries' defaults compared with the plugins', on ESC-10 in its own folds."""
    rows = []
    for table in ("flatten", "stats"):
        for pair, title in (("lightgbm", "LightGBM"), ("xgboost", "XGBoost")):
            words = (table, pair, bench.data / "ogg", TRAINING_SECONDS)
            said = run(bench.script("training.py", *words, python=bench.python)).said
            rows.append(trained(f"{title}, library defaults vs. ours, {table}", said))
    return rows


def trained(name: str, said: dict[str, Any]) -> Row:
    accuracies = [f"{said['accuracy'][key]:.1%}" for key in ("theirs", "ours")]
    folds = f"{len(said['seconds']['ours'])} of {said['n_folds']} folds"
    note = f"{said['columns']} columns, {folds}, accuracy {accuracies[0]} vs. {accuracies[1]}"
    return compared(name, said["seconds"]["theirs"], said["seconds"]["ours"], "s", note=note)


# -- Statistics ------------------------------------------------------------------------------------------------------


def leaderboard(bench: Bench) -> list[Row]:
    """How often one of equally good runs is called worse; ``leaderboard.py`` prints the whole table."""
    said = run(bench.script("leaderboard.py", "--only", "holdout", "--sweeps", 200, "--json", python=bench.python)).said
    shown = [f"{said[name]:.1%}" for name in ("before", "now")]
    note = f"5% allowed; at worst {said['worst_before']:.1%} vs. {said['worst']:.1%} (200 sweeps each)"
    return [Row("equal run called worse, vs. Holm against the apparent best", *shown, note=note)]


def intervals(bench: Bench) -> list[Row]:
    """How often 95 % intervals of few groups contain the true accuracy; ``intervals.py`` prints the whole table."""
    said = run(bench.script("intervals.py", "--only", "groups", "--draws", 400, "--json", python=bench.python)).said
    shown = ["–".join(f"{share:.1%}" for share in said[name]) for name in ("before", "now")]
    note = "95% wanted, 3 to 50 groups (400 draws each)"
    return [Row("coverage of 95% intervals, vs. percentile bootstrap", *shown, note=note)]


ROWS: dict[str, Callable[[Bench], list[Row]]] = {
    function.__name__: function
    for function in (
        *(
            tutorial,
            small,
            accuracy,
            mel,
            nine,
            twelve,
            egemaps,
            joblib,
            torchaudio,
            cache,
            growth,
            startup,
            training,
            leaderboard,
            intervals,
        ),
    )
}
