"""Label, group and fold of a clip, from its folders and ``data.pattern``.

Several labels of one clip are one text, ``cat;dog``: sorted, each once, joined with ``;``. The empty text means none of
the classes.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from audiofw.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

FIELDS = ("label", "group", "fold")
SPLITS = {"train": "train", "test": "test"} | dict.fromkeys(("validation", "valid", "val", "dev"), "validation")
THREE_WAYS = "put the clips into one folder per class, set data.pattern, or add a metadata.csv (file_name, label)"

Facts = dict[str, str]  # the known FIELDS of one clip

JOINT = ";"  # between several labels in a label's text
IN_FOLDERS = ","  # between several labels in the name of a folder or file, unless data.separator says otherwise


# --- several labels --------------------------------------------------------------------------------


def join_labels(labels: Iterable[str]) -> str:
    """Write several labels as one text: sorted, each once, joined with ``;``.

    Raises
    ------
    DataError
        If a label contains ``;``.

    Examples
    --------
    >>> join_labels(["dog", "cat", "dog"]), join_labels([])
    ('cat;dog', '')
    """
    names = sorted({composed(label.strip()) for label in labels} - {""})
    for name in names:
        if JOINT in name:
            raise DataError(f"the label {name!r} contains {JOINT!r}, which separates several labels; rename it")
    return JOINT.join(names)


def split_labels(text: str) -> list[str]:
    """List the labels in a text that `join_labels` made; none for an empty text."""
    return text.split(JOINT) if text else []


def encode_several(texts: Sequence[str], classes: Sequence[str] | None = None) -> tuple[list[str], np.ndarray]:
    """Encode texts that `join_labels` made: returns the classes, by default sorted, and which of them each text has.

    Returns
    -------
    classes : list of str
    y : np.ndarray [shape=(texts, classes), dtype=int8]
        1 where a text has the class, else 0.

    Examples
    --------
    >>> encode_several(["cat;dog", "", "dog"])[1].tolist()
    [[1, 1], [0, 0], [0, 1]]
    """
    import numpy as np

    sets = [split_labels(text) for text in texts]
    names = sorted({label for labels in sets for label in labels}) if classes is None else list(classes)
    place = {name: i for i, name in enumerate(names)}
    y = np.zeros((len(texts), len(names)), np.int8)
    for row, labels in zip(y, sets, strict=True):
        row[[place[label] for label in labels]] = 1
    return names, y


def name_prediction(predicted: np.ndarray, classes: Sequence[str] | np.ndarray) -> str:
    """Name a predicted class, given by its index, or several, given as a row of an indicator matrix."""
    if predicted.ndim == 0:
        return str(classes[int(predicted)])
    return join_labels(str(classes[int(k)]) for k in predicted.nonzero()[0])


def _as_sets(facts: Mapping[str, Facts], separator: str, background: str | None) -> dict[str, Facts]:
    """Read each label as several labels with this separator; one of them that is ``background`` means none."""

    def read(text: str) -> str:
        return join_labels(label for label in text.split(separator) if label.strip() != background)

    return {
        name: {**known, "label": read(known["label"])} if "label" in known else known for name, known in facts.items()
    }


# --- data.pattern ----------------------------------------------------------------------------------


def compile_pattern(pattern: str | None) -> re.Pattern[str] | None:
    """Compile ``data.pattern``; ConfigError if it is not a regular expression or has none of `FIELDS` as a group."""
    if pattern is None:
        return None
    try:
        rule = re.compile(composed(pattern))
    except re.error as error:
        raise ConfigError(f"data.pattern: {pattern!r} is not a regular expression: {error}") from error
    for name in rule.groupindex:
        if name not in FIELDS:
            raise ConfigError(
                f"data.pattern: unknown group {name!r}{nearest(name, FIELDS)}; allowed groups: {listing(FIELDS)}"
            )
    if not rule.groupindex:
        raise ConfigError(
            f"data.pattern: {pattern!r} has none of the groups {listing(FIELDS)}; write e.g. '(?P<label>[a-z]+)_'"
        )
    return rule


# --- all sources together --------------------------------------------------------------------------


def label_clips(
    names: Sequence[str],
    rows: Mapping[str, Facts],
    rule: re.Pattern[str] | None,
    passed: Counter[str],
    source: Path,
    *,
    task: str = "single",
    separator: str | None = None,
    background: str | None = None,
) -> dict[str, Facts]:
    """Label, and group and fold if known, of every clip that has a label.

    Parameters
    ----------
    names : sequence of str
        Names of the clips, relative to the root.
    rows : mapping of str to Facts
        Manifest rows of some of the clips. They override the folders, and the pattern overrides both.
    rule : re.Pattern, optional
        See `compile_pattern`.
    passed : Counter
        Counts the ignored clips by reason; updated.
    source : Path
        The data source, for error messages.
    task : {"single", "multilabel"}
        With "multilabel", a label's text may hold several, see `join_labels`; a clip whose row has no label is of none
        of the classes.
    separator : str, optional
        Between several labels; by default `JOINT` in manifests, `IN_FOLDERS` elsewhere.
    background : str, optional
        With several labels, the one that means none of the classes.

    Raises
    ------
    DataError
        If no clip has a label, or the pattern matches no clip.
    ConfigError
        For an empty separator, or one that nothing reads.
    """
    check_separator(separator, task)
    by_pattern = _by_pattern(names, rule, passed, source)
    in_rows = any("label" in facts for facts in rows.values())
    elsewhere = in_rows or "label" in (rule.groupindex if rule else ())
    by_folder = _by_folder(by_pattern, labels=not elsewhere)
    if task == "multilabel":
        rows = {name: ({"label": ""} if in_rows else {}) | rows[name] for name in rows}
        rows = _as_sets(rows, separator or JOINT, background)
        by_folder, by_pattern = (_as_sets(x, separator or IN_FOLDERS, background) for x in (by_folder, by_pattern))
    facts = {name: by_folder[name] | rows.get(name, {}) | by_pattern[name] for name in by_pattern}
    unlabelled = [name for name in facts if "label" not in facts[name]]
    if unlabelled:
        say = f"{source}: {len(unlabelled)} of {len(facts)} clips have no label, e.g. {unlabelled[0]}"
        if len(unlabelled) == len(facts):
            raise DataError(f"{say}; {THREE_WAYS}")
        log.warning(say)
        passed["no label"] += len(unlabelled)
    facts = {name: normalised(known) for name, known in facts.items() if "label" in known}
    for doubt in all_doubts([known["label"] for known in facts.values()], task):
        log.warning("%s: %s", source, doubt)
    return facts


def check_separator(separator: str | None, task: str) -> None:
    """Refuse an empty separator, or one that nothing reads."""
    if separator == "":
        raise ConfigError("data.separator is empty; set it to what stands between two labels, or to null")
    if separator is not None and task == "single":
        raise ConfigError(f"data.separator={separator} separates several labels of a clip, which needs task=multilabel")


def all_doubts(labels: Sequence[str], task: str) -> list[str]:
    """List the warnings about the labels of all clips; see `doubts` and `several_in_one`."""
    if task == "single":
        return [*doubts(set(labels)), *several_in_one(labels)]
    none = labels.count("")
    said = (
        f"{none} of {len(labels)} clips have no label: they count as none of the classes (data.skip leaves clips out)"
    )
    return [*doubts({name for text in labels for name in split_labels(text)}), *([said] if none else [])]


def several_in_one(labels: Sequence[str]) -> list[str]:
    """Warn of labels such as ``cat;dog`` of several clips, where cat and dog are also labels of their own.

    Parameters
    ----------
    labels : sequence of str
        Labels of all clips.
    """
    for separator in (JOINT, IN_FOLDERS):
        alone = {label for label in labels if separator not in label}
        made = [label for label in labels if separator in label and _parts(label, separator) <= alone]
        if len(made) > 1:
            return [
                f"{len(made)} clips have a label such as {made[0]!r}, which looks like several labels, but is treated "
                f"as a class; if a clip may have several labels, set task=multilabel 'data.separator={separator}'"
            ]
    return []


def _parts(label: str, separator: str) -> set[str]:
    return {part.strip() for part in label.split(separator)}


def doubts(labels: Collection[str]) -> list[str]:
    """Warnings about a set of labels: different spellings of the same label, or folds instead of classes."""
    spellings: dict[str, list[str]] = defaultdict(list)
    for label in sorted(labels):
        spellings["".join(label.casefold().split())].append(label)
    alike = [spelt for spelt in spellings.values() if len(spelt) > 1]
    found = [
        f"the labels {listing(map(repr, spelt))} differ only in case or spaces, but are treated as different classes; "
        "if they are the same class, use the same spelling"
        for spelt in alike
    ]
    if len(labels) > 1 and all(_FOLD.fullmatch(label) or label.strip().lower() in SPLITS for label in labels):
        found.append(
            f"the labels {listing(sorted(labels), 4)} look like folds, not classes; "
            "set the labels with data.pattern or a manifest, and use these as folds"
        )
    return found


_FOLD = re.compile(r"(k?fold|split|part|set|batch|cv)[\s_-]*\d+", re.IGNORECASE)


def composed(text: str) -> str:
    """Normalise to composed accents (NFC), since macOS stores names with decomposed ones."""
    return unicodedata.normalize("NFC", text)


def normalised(facts: Facts) -> Facts:
    """Write facts with composed accents, and the fold by its usual name."""
    return _with_usual_fold({field: composed(value) for field, value in facts.items()})


def _by_pattern(
    names: Iterable[str], rule: re.Pattern[str] | None, passed: Counter[str], source: Path
) -> dict[str, Facts]:
    """Match the pattern against each name; drops clips for which it should give a label but does not."""
    if rule is None:
        return {name: {} for name in names}
    found = {name: _matched(rule, name) for name in names}
    labels = "label" in rule.groupindex
    strangers = {name for name, facts in found.items() if not facts or (labels and "label" not in facts)}
    if strangers:
        say = f"data.pattern: {rule.pattern!r} does not match {len(strangers)} of {len(found)} clips"
        if len(strangers) == len(found):
            raise DataError(f"{say} of {source}, e.g. {min(strangers)}")
        log.warning("%s, e.g. %s", say, min(strangers))
    if labels:
        passed["no match for data.pattern"] += len(strangers)
        found = {name: facts for name, facts in found.items() if name not in strangers}
    return found


def _matched(rule: re.Pattern[str], name: str) -> Facts:
    name = composed(name)
    match = rule.search(name.rpartition("/")[2]) or rule.search(name)
    return {field: value for field, value in match.groupdict().items() if value} if match else {}


def facts_of_recordings(
    names: Collection[str],
    rows: Mapping[str, Facts],
    rule: re.Pattern[str] | None,
    passed: Counter[str],
    source: Path,
) -> tuple[dict[str, Facts], dict[str, Facts]]:
    """Group and fold of recordings whose labels are in tables: by their folders and manifests, and by the pattern.

    Raises
    ------
    ConfigError
        If the pattern is to give labels, too.
    """
    if rule is not None and "label" in rule.groupindex:
        raise ConfigError(
            f"data.pattern: {rule.pattern!r} gives labels, but they are in tables; leave only its groups group and fold"
        )
    by_pattern = _by_pattern(names, rule, passed, source)
    by_folder = _by_folder(names, labels=False)
    in_rows = {name: {key: x for key, x in rows.get(name, {}).items() if key != "label"} for name in names}
    return {name: by_folder[name] | in_rows[name] for name in names}, by_pattern


# --- folders ---------------------------------------------------------------------------------------


def _by_folder(names: Iterable[str], labels: bool) -> dict[str, Facts]:
    """Take the parent folder as the label, and a train/test folder at the top as the fold if it is not the label."""
    below = {name: name.split("/") for name in names}
    depth = len(wrapping_folders(below))
    splits = all(len(parts) > depth + 1 and parts[depth].lower() in SPLITS for parts in below.values())
    if splits and labels:
        splits = any(len(parts) > depth + 2 for parts in below.values())
    facts: dict[str, Facts] = {}
    for name, parts in below.items():
        facts[name] = {"fold": parts[depth]} if splits else {}
        # clips directly in a train/test folder or at the root have no class folder
        if labels and len(parts) > (depth + 2 if splits else 1) and parts[-2] != "..":
            facts[name]["label"] = parts[-2]
    return facts


def wrapping_folders(names: Iterable[str]) -> tuple[str, ...]:
    """Leading folders that all clips share, up to a train/test folder; none for clips outside the root."""
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    return tuple(level[0] for level in takewhile(_wraps, levels))


def _wraps(level: tuple[str, ...]) -> bool:
    return len(set(level)) == 1 and level[0].lower() not in SPLITS and level[0] != ".."


def _with_usual_fold(facts: Facts) -> Facts:
    fold = facts.get("fold")
    return facts | {"fold": SPLITS.get(fold.lower(), fold)} if fold else facts


def listing(words: Iterable[str], most: int = 30) -> str:
    """Join words with commas for a message, abbreviating long lists."""
    words = list(words)
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
