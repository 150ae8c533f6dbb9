"""The whole picture as one row: every frame after the other."""

from audiofw import hookimpl


@hookimpl
def register_poolings(register):
    register(flatten, names=names)


def flatten(frames):
    """All values of the picture, frame after frame: nothing is lost, and clips of other length get other columns."""
    return frames.T.ravel()


def names(rows, d):
    """Name each value by its row and its frame, as ``mfcc3.value@7/130``."""
    frames = d // len(rows)
    return [f"{row}.value@{frame}/{frames}" for frame in range(1, frames + 1) for row in rows]
