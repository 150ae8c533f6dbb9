"""system.faults: where, what and remedy, on one line."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from audiofw.system.faults import STDOUT, explain, find_fault, writing_to
from audiofw.system.scratch import scratch_folder


def refusal(code: int, file: object = None) -> OSError:
    return OSError(code, os.strerror(code), *([file] if file else []))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "x.csv: No space left on device; free some space, or choose another folder"),
        (errno.EROFS, "x.csv: Read-only file system; choose another folder"),
        (errno.EACCES, "x.csv: Permission denied; change its permissions, or choose another folder"),
        (errno.EIO, "x.csv: Input/output error; check the disk, or choose another folder"),
        (
            errno.EMFILE,
            "x.csv: Too many open files; raise the limit on open files (ulimit -n), or choose another folder",
        ),
    ],
)
def test_each_fault_has_its_remedy(code, said):
    assert explain(refusal(code), "x.csv") == said
    assert explain(refusal(code, Path("x.csv")), "other") == said
    assert explain(refusal(code, b"x.csv"), "other", "hydra.run.dir=FOLDER") == f"{said} with hydra.run.dir=FOLDER"


def test_the_remedy_names_what_chooses_the_place(tmp_path):
    full = refusal(errno.EROFS)
    with scratch_folder() as scratch:
        assert explain(full, scratch / "golden.flac", "hydra.run.dir=FOLDER").endswith("set TMPDIR to another folder")
    assert explain(full, Path(os.environ["AUDIOFW_CACHE"], "x")).endswith("set AUDIOFW_CACHE to another folder")
    assert explain(full, tmp_path).endswith("choose another folder")
    assert explain(full, STDOUT).endswith("write to another file")


def test_no_usable_temporary_folder_is_a_fault_like_others(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere"])
    with pytest.raises(FileNotFoundError) as caught:
        tempfile.gettempdir()
    assert find_fault(caught.value) is caught.value
    assert explain(caught.value) == (
        "No usable temporary directory found in ['/nowhere']; set TMPDIR to a folder with space that can be written"
    )


def test_a_fault_is_found_behind_what_libraries_make_of_it():
    def wrap(how):
        try:
            try:
                raise refusal(errno.ENOSPC, "x")
            except OSError as error:
                raise ValueError("Unable to configure handler 'file'") from (error if how == "from" else None)
        except ValueError as error:
            return error

    assert find_fault(wrap("from")).filename == "x"
    assert find_fault(wrap("from None")) is None
    assert find_fault(FileNotFoundError(errno.ENOENT, "No such file or directory", "x")) is None


def test_errors_of_streams_get_the_name_of_their_file():
    with pytest.raises(OSError, match=r"\[Errno 28\].*: 'x.csv'"), writing_to("x.csv"):
        raise refusal(errno.ENOSPC)
