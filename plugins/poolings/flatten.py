"""The whole feature matrix as one row, frame by frame."""

from audiofw import hookimpl


@hookimpl
def register_poolings(register):
    register(flatten, names=names, onnx=onnx)


def flatten(frames):
    """All values, frame by frame (time-major): loses nothing, but makes wide tables; shorter clips are padded."""
    return frames.T.ravel()


def names(rows, d):
    """Name each value by its row and frame: ``mfcc3.value@7/130``."""
    frames = d // len(rows)
    return [f"{row}.value@{frame}/{frames}" for frame in range(1, frames + 1) for row in rows]


def onnx(graph, frames):
    """Compute the same in ONNX."""
    return graph.Reshape(graph.Transpose(frames, perm=[1, 0]), [-1])
