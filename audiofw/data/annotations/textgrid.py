"""TextGrids of Praat, read by praatio (extra ``annotations``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from audiofw.data.annotations.rows import Annotation, Flaw, one_cell
from audiofw.data.annotations.tiers import chosen_tiers, opening

SUFFIX = ".textgrid"
SHORTEST = 1e-6  # seconds of an interval


def read_textgrid(path: Path, chosen: Mapping[str, str]) -> Iterator[Annotation | Flaw]:
    """Read the labelled intervals of all tiers, or of the one that ``data.columns.label`` names.

    Empty intervals are what Praat puts between labels, and points have no length: the former are passed over, the
    latter are flaws.

    Raises
    ------
    DataError
        If praatio is not installed, or cannot read the file.
    ConfigError
        For a tier that the file lacks.
    """
    with opening(path, "a TextGrid", "praatio"):
        from praatio import textgrid

        grid = textgrid.openTextgrid(str(path), False, reportingMode="silence", duplicateNamesMode="rename")
    wanted = chosen_tiers(path, grid.tierNames, chosen)
    for tier in grid.tiers:
        if tier.name not in wanted:
            continue
        for number, entry in enumerate(tier.entries, 1):
            label = entry.label.strip()
            if not hasattr(entry, "end"):
                yield Flaw(path, f"tier {tier.name!r}, point {number}", "a point has no length; use an interval")
            elif label:
                where = f"tier {tier.name!r}, interval from {entry.start:g} s"
                yield Annotation("", entry.start, entry.end, label, source=path, line=where)


def textgrid_text(rows: Iterable[Annotation], seconds: float) -> str:
    """Write a TextGrid with one tier for each label; of events that overlap in a tier, the later starts at their end.

    Parameters
    ----------
    rows : iterable of Annotation
    seconds : float
        Length of the recording.
    """
    tiers: dict[str, list[Annotation]] = {}
    for row in sorted(rows, key=lambda row: row.start or 0.0):
        tiers.setdefault(one_cell(row.label), []).append(row)
    if not tiers:
        tiers["labels"] = []
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {seconds:.6f}"]
    lines = [*head, "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (label, some) in enumerate(tiers.items(), 1):
        intervals = list(_filled(some, seconds))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(label)}"]
        lines += ["        xmin = 0", f"        xmax = {seconds:.6f}", f"        intervals: size = {len(intervals)}"]
        for place, (start, end, text) in enumerate(intervals, 1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {start:.6f}",
                f"            xmax = {end:.6f}",
            ]
            lines.append(f"            text = {_quoted(text)}")
    return "".join(f"{line}\n" for line in lines)


def _filled(rows: Iterable[Annotation], seconds: float) -> Iterator[tuple[float, float, str]]:
    """Give the intervals of a tier, and the empty ones between them: together they are the whole recording."""
    at = 0.0
    for row in rows:
        start, end = max(row.start or 0.0, at), min(seconds if row.end is None else row.end, seconds)
        if end - start < SHORTEST:
            continue
        if start - at >= SHORTEST:
            yield at, start, ""
        else:
            start = at
        yield start, end, one_cell(row.label)
        at = end
    if seconds - at >= SHORTEST or not at:
        yield at, seconds, ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
