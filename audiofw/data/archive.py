"""A common interface to zip and tar archives: detect, list and check them."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from audiofw.errors import DataError

ACCEPTED = "zip, tar, tar.gz (tgz), tar.bz2 or tar.xz"
CHUNK = 1 << 20
LONGEST_TAR_HEADER = 1 << 20
LONGEST_GLOBAL_HEADER = 1 << 12  # tarfile applies it to every member; git writes 52 bytes
ZIP_END, ZIP64_END = 22, 76  # bytes of the record that ends a zip, without its comment, and of those before it in zip64
SMALLEST_ENTRY, LARGEST_ENTRY = 46, 512  # bytes of an entry of a zip's directory: without a name, and on average
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RecursionError,  # tarfile, on a chain of headers about headers
    struct.error,
    ValueError,
)


class ArchiveMember(NamedTuple):
    """One entry of an archive."""

    name: str
    size: int
    kind: str  # "file", "folder", or a description of anything else
    open: Callable[[], Any]
    header: int = 0  # bytes in the archive that describe it, before compression


def is_archive(path: Path) -> bool:
    """Whether a file is an archive that can be unpacked, judged by its content rather than its name.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        return path.is_file() and _format(path) is not None
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> DataError:
    """Build the error for a file that cannot be read."""
    return DataError(f"{path}: cannot be read ({error.strerror}); check its permissions")


def too_many(archive: Path, most: int) -> DataError:
    """Build the error for an archive with too many files and folders."""
    return DataError(f"{archive}: contains more than {most} files and folders; if you trust it, raise data.max_entries")


@contextmanager
def open_members(archive: Path, most: int = 200_000) -> Iterator[Iterator[ArchiveMember]]:
    """Open an archive and iterate over its members, which can be read while it is open.

    Parameters
    ----------
    archive : Path
    most : int
        Maximum number of members of a zip, since zipfile allocates about 600 bytes for each on opening.

    Raises
    ------
    DataError
        For an encrypted archive, or one with too many members.
    OSError, NotImplementedError, or one of DAMAGE
        As the libraries raise them.
    """
    if _format(archive) == "zip":
        with archive.open("rb") as file:
            if lists_more_than(most, file):
                raise too_many(archive, most)
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened, archive)
    else:
        with tarfile.open(archive, tarinfo=_TarHeader) as tar:
            yield _tar_members(tar)


class _TarHeader(tarfile.TarInfo):
    """A tar header that rejects what tarfile would read into memory without limit."""

    def _block(self, count: int) -> int:
        names = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE)
        longest = LONGEST_GLOBAL_HEADER if self.type == tarfile.XGLTYPE else LONGEST_TAR_HEADER
        if self.type in names and count > longest:
            raise tarfile.ReadError("a name of impossible length")
        return int(super()._block(count))  # type: ignore[misc]

    def _proc_sparse(self, tar: tarfile.TarFile) -> Any:
        self.sparse = []  # type: ignore[assignment]  # not its map of holes, which may be as long as the archive's author likes
        return self._proc_builtin(tar)  # type: ignore[attr-defined]

    def _proc_gnusparse_10(self, member: Any, pax_headers: Any, tar: tarfile.TarFile) -> None:
        member.sparse = []


def _format(path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(4)
    # check the first bytes: a tar whose last member is a zip also ends like a zip
    if start in (b"PK\3\4", b"PK\5\6"):
        return "zip"
    try:
        with tarfile.open(path, tarinfo=_TarHeader):
            return "tar"
    except (*DAMAGE, OSError):
        pass
    return "zip" if zipfile.is_zipfile(path) else None


def lists_more_than(most: int, file: BinaryIO) -> bool:
    """Whether a zip's directory has more than ``most`` entries, counted in bounded memory; zipfile reads all of them.

    Raises
    ------
    zipfile.BadZipFile
        If the directory is not where zipfile will look for it.
    """
    at, size = _find_directory(file)
    if size <= most * SMALLEST_ENTRY:
        return False
    if size > most * LARGEST_ENTRY:
        return True
    entries, left = 0, size
    while left >= SMALLEST_ENTRY and entries <= most:
        file.seek(at)
        head = file.read(SMALLEST_ENTRY)
        if not head.startswith(b"PK\1\2"):
            raise zipfile.BadZipFile("its directory is damaged")
        length = SMALLEST_ENTRY + sum(struct.unpack_from("<HHH", head, 28))  # name, extra field, comment
        at, left, entries = at + length, left - length, entries + 1
    return entries > most


def _find_directory(file: BinaryIO) -> tuple[int, int]:
    """Return the position and size in bytes of the directory that zipfile will read; other end records may differ."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if not end:
        return 0, 0
    signature, size, where = end[0], end[5], end[9]
    return where - size - (ZIP64_END if signature == b"PK\6\6" else 0), size


def _zip_members(opened: zipfile.ZipFile, archive: Path) -> Iterator[ArchiveMember]:
    _check_count(opened)
    for info in opened.infolist():
        if info.flag_bits & 1:
            raise DataError(f"{archive}: encrypted; pack it again without a password")
        mode = stat.S_IFMT(info.external_attr >> 16)
        name = _zip_name(info)
        plain = "folder" if name.endswith("/") else "file"
        kind = plain if mode in (0, stat.S_IFREG, stat.S_IFDIR) else _kind(mode == stat.S_IFLNK)
        yield ArchiveMember(name, info.file_size, kind, partial(opened.open, info))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Decode names in UTF-8 without the UTF-8 flag, as written by macOS; zipfile decodes them as code page 437."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


def _check_count(opened: zipfile.ZipFile) -> None:
    """Reject a zip whose directory has fewer entries than its end record says; zipfile does not check."""
    assert opened.fp is not None
    opened.fp.seek(-len(opened.comment) - ZIP_END, os.SEEK_END)
    end = opened.fp.read(ZIP_END)
    count = int.from_bytes(end[10:12], "little")
    # 65535 means that the count is stored elsewhere (zip64); other bytes may follow the end record
    if end.startswith(b"PK\5\6") and count not in (0xFFFF, len(opened.infolist()) & 0xFFFF):
        raise zipfile.BadZipFile("entries are missing from its directory")


def _tar_members(opened: tarfile.TarFile) -> Iterator[ArchiveMember]:
    for info in opened:
        plain = "a sparse file" if info.issparse() else "file" if info.isreg() else "folder" if info.isdir() else ""
        kind = plain or _kind(info.issym() or info.islnk())
        yield ArchiveMember(
            info.name, info.size, kind, partial(opened.extractfile, info), info.offset_data - info.offset
        )
        info.pax_headers = {}  # up to a megabyte, and the archive keeps every member
    # tarfile takes a broken header for the end; the real end is a block of zeros
    assert opened.fileobj is not None
    opened.fileobj.seek(opened.offset)
    if opened.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("no end mark")
    # read on so that the compressor's checksum, behind the end, is verified; but not without limit
    for _ in range(64):
        if not opened.fileobj.read(CHUNK):
            break


def _kind(link: bool) -> str:
    return "a link" if link else "a device or pipe"
