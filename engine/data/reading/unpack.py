"""Packed files (.gz, .zst, .bz2, .xz, .zip) unpacked into the job's folder, where they are read like any others."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import zipfile
import zlib
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from engine.data.reading import sources
from engine.data.reading.faults import Fault
from engine.errors import DataError, DiskFull

if TYPE_CHECKING:
    from engine.data.reading.faults import LeftOut
    from engine.data.reading.options import Options
    from engine.data.reading.sources import Source
    from engine.jobs.context import JobContext

BLOCK = 1 << 20
SMALL = 1 << 12
KEEP_FREE = 1 << 28
"""Bytes of the disk that unpacking leaves alone."""
BOMB_BYTES, BOMB_RATIO = 1 << 30, 200
"""What unpacks to more than this and to so many times its size is refused."""
LINES = ("csv", "json", "text")
"""What can be used as far as it goes."""
CUT = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


def unpack(job: JobContext, source: Source, folder: Path, options: Options, left: LeftOut) -> Source:
    """``source`` with its packed files unpacked below ``folder``; what can't be is listed where that was asked for.

    Raises ``DataError``, ``DiskFull``, ``Stopped``.
    """
    if source.reader == "archive":
        for path in source.every:
            _unzip(job, path, folder / (path.stem if len(source.every) > 1 else "."), left if options.bad == "skip" else None)
        found = sources.in_folder(str(source.every[0]) if len(source.every) == 1 else source.text, folder, source.name)
        if found.reader == "archive":
            raise DataError(f"{source.text} holds an archive within an archive.", "Unpack it first.")
        return unpack(job, replace(found, text=source.text), folder / "inner", options, left)
    if not any(sources.is_packed(path) for path in source.every):
        return source
    files: dict[str, list[Path]] = {}
    for number, (split, path) in enumerate((split, path) for split, paths in source.files.items() for path in paths):
        files.setdefault(split, []).append(_one(job, path, folder / str(number), options, left) if sources.is_packed(path) else path)
    return replace(source, files=files)


def _one(job: JobContext, path: Path, folder: Path, options: Options, left: LeftOut) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.stem
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        try:
            stream = stack.enter_context(_opened(path, raw))
            _copy(job, stream, target, path, raw)
        except CUT as error:
            _disk(error)
            size = target.stat().st_size if target.exists() else 0
            if options.bad == "skip" and size:
                left.part(Fault(path.name, 0, 0, f"what follows {size:,} unpacked bytes can't be unpacked: {_said(error)}"))
                return target
            refused = DataError(f"{path.name} is broken: it can be unpacked up to byte {size:,} only ({_said(error)}).", "Fetch or write it again.")
            raise (refused.offer("keep what could be unpacked", bad="skip") if size else refused) from None
    return target


def _opened(path: Path, raw: IO[bytes]) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    if suffix == ".bz2":
        return bz2.BZ2File(raw)
    if suffix == ".xz":
        return lzma.LZMAFile(raw)
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")


def _copy(job: JobContext, stream: Any, target: Path, path: Path, raw: IO[bytes] | None, size_read: int = BLOCK) -> None:
    size, done = path.stat().st_size, 0
    with target.open("wb") as out:
        # What comes before a break is handed out piece by piece where the library can.
        read = getattr(stream, "read1", stream.read)
        while block := read(size_read):
            job.check()
            out.write(block)
            done += len(block)
            if raw is not None and not raw.closed:
                job.progress(min(size, raw.tell()), size, "bytes", f"unpacking {path.name}")
            if done > BOMB_BYTES and done > BOMB_RATIO * size:
                raise DataError(
                    f"{path.name} unpacks to more than {BOMB_RATIO} times its size ({size:,} bytes).", "That is no safe file to unpack here."
                )
            if done % (64 * BLOCK) < BLOCK and shutil.disk_usage(target.parent).free < KEEP_FREE:
                raise DiskFull(f"No space left to unpack {path.name}: {done:,} bytes so far.", "Free some space, or add the data in parts.")


def _unzip(job: JobContext, path: Path, folder: Path, left: LeftOut | None) -> None:
    """The files that a reader knows. Names that lead out of the folder are made harmless. With ``left``, a file of it that
    is broken is listed and left out; of one made of lines, what comes before the break stays."""
    folder.mkdir(parents=True, exist_ok=True)
    good, broken = 0, []  # type: int, list[str]
    try:
        archive = zipfile.ZipFile(path)
    except CUT as error:
        _disk(error)
        raise DataError(f"{path.name} can't be unpacked: {_said(error)}.", "Fetch or write it again.") from None
    with archive:
        for entry in archive.infolist():
            parts = [part for part in Path(entry.filename.replace("\\", "/")).parts if part not in ("..", "/", ".")]
            if entry.is_dir() or not parts or sources.kind_of(Path(parts[-1])) is None or "__MACOSX" in parts:
                continue
            if entry.flag_bits & 1:
                raise DataError(f"{path.name}: “{entry.filename}” is locked with a password.", "Unpack it first, and add the folder.")
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with archive.open(entry) as stream:
                    _copy(job, stream, target, path, None)
                good += 1
            except CUT as error:
                _disk(error)
                broken.append(f"“{entry.filename}” ({_said(error)})")
                if left is not None:
                    fault = Fault(path.name, 0, 0, f"“{entry.filename}” can't be unpacked: {_said(error)}")
                    good += _begun(job, archive, entry, target, fault, left, whole=isinstance(error, zipfile.BadZipFile))
    if broken and (left is None or not good):
        refused = DataError(
            f"{path.name} is broken: {len(broken)} of its files can't be unpacked: {', '.join(broken[:5])}.", "Fetch or write it again."
        )
        raise refused.offer("keep what can be unpacked, and list the rest", bad="skip") if left is None else refused


def _begun(job: JobContext, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, fault: Fault, left: LeftOut, *, whole: bool) -> bool:
    """List a broken file of an archive; true where its beginning is kept. One that could be unpacked as a ``whole``, but is
    not what it was when it was packed, is kept by nobody: any line of it may be wrong."""
    target.unlink(missing_ok=True)
    if sources.kind_of(target) in LINES and not whole:
        # Once more, in pieces so small that little is lost with the one that breaks.
        with suppress(*CUT), archive.open(entry) as stream:
            _copy(job, stream, target, Path(str(archive.filename)), None, SMALL)
    size = target.stat().st_size if target.exists() else 0
    kept = size > 0
    if not kept:
        target.unlink(missing_ok=True)
    left.part(replace(fault, reason=f"{fault.reason}; {f'its first {size:,} bytes were kept' if kept else 'nothing of it was kept'}"))
    return kept


def _disk(error: BaseException) -> None:
    """A full disk is not the file's fault."""
    import errno

    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        raise error


def _said(error: BaseException) -> str:
    said = (str(error).strip().splitlines() or ["it ends too early"])[0].rstrip(".")[:120]
    # A packer notices a wrong byte only some way behind it.
    return f"{said}; the last rows before that may be damaged too" if isinstance(error, (zlib.error, lzma.LZMAError)) else said
