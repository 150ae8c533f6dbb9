"""The folds that come with the data."""

from collections import Counter

from audiofw import ConfigError, DataError, hookimpl

NAMED = {"train", "training", "valid", "validation", "val", "dev", "test", "testing"}


@hookimpl
def register_splits(register):
    register(predefined)


def predefined(folds, *, test: list[str] | None = None):
    """Use the folds that come with the data set: numbered folds, or train, validation and test.

    Numbered folds are each tested once. If the folds are named train, validation (valid, val, dev) and test, the model
    is tested on test and trained on all the others.

    Parameters
    ----------
    test
        Names of the folds that together form the test set; null: decided from the folds' names, as described above.
    """
    from sklearn.model_selection import PredefinedSplit

    folds = [fold or "" for fold in folds]
    numbers = _number(folds, list(test) if test else _find_tests(folds))
    return PredefinedSplit([numbers.get(fold, -1) for fold in folds])  # -1: never tested


def _find_tests(folds):
    """Find the fold called test; an empty list means that each fold is tested in turn."""
    if not all(folds):
        raise DataError(f"split=predefined: {sum(not fold for fold in folds)} of {len(folds)} clips have no fold")
    if not any(fold.lower() in NAMED for fold in folds):
        return []
    tests = sorted({fold for fold in folds if fold.lower() in ("test", "testing")})
    if not tests:
        raise ConfigError(f"split=predefined: found no fold named 'test'; choose with split.test=[…], {_show(folds)}")
    return tests


def _number(folds, tests):
    """Map each tested fold to the number of its test set."""
    for unknown in (test for test in tests if test not in folds):
        raise ConfigError(f"split.test=[{unknown}]: unknown fold, {_show(folds)}")
    known = sorted(set(folds), key=lambda fold: (len(fold), fold))  # 2 before 10
    if len(known) < 2 or set(tests) == set(known):
        raise DataError(f"split=predefined: nothing is left to train on, {_show(folds)}")
    return dict.fromkeys(tests, 0) if tests else {fold: number for number, fold in enumerate(known)}


def _show(folds):
    counts = Counter(fold or "(none)" for fold in folds)
    return "folds: " + ", ".join(f"{fold} ({n} clips)" for fold, n in sorted(counts.items()))
