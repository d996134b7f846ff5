"""What a source is: a file, a folder or a pattern of files, or a dataset of the Hub; which reader; which split."""

from __future__ import annotations

import glob
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.data.reading.options import Options
from engine.errors import DataError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

Reader = Literal["csv", "json", "parquet", "text", "arrow", "excel", "sqlite", "conll", "image", "audio", "archive"]
READERS: dict[str, Reader] = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv",
    ".json": "json", ".jsonl": "json", ".ndjson": "json",
    ".parquet": "parquet", ".pq": "parquet",
    ".txt": "text", ".text": "text", ".md": "text", ".log": "text", ".rst": "text",
    ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
    ".xlsx": "excel", ".xls": "excel", ".xlsm": "excel", ".xlsb": "excel", ".ods": "excel",
    ".conll": "conll", ".conllu": "conll", ".conll2003": "conll", ".iob": "conll", ".iob2": "conll", ".bio": "conll",
    ".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite",
    ".jpg": "image", ".jpeg": "image", ".png": "image", ".webp": "image", ".gif": "image", ".bmp": "image", ".tif": "image", ".tiff": "image",
    ".wav": "audio", ".flac": "audio", ".mp3": "audio", ".ogg": "audio", ".opus": "audio", ".aiff": "audio", ".aif": "audio",
    ".zip": "archive",
}  # fmt: skip
PACKED = (".gz", ".zst", ".bz2", ".xz")
MEDIA: tuple[Reader, ...] = ("image", "audio")
KINDS = "CSV, TSV, JSON, JSON lines, Parquet, Arrow, text, Excel, SQLite and CoNLL, packed or not, and folders of pictures or sounds"
SQLITE = "sqlite:///"
SPLITS = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation", "development": "validation",
}  # fmt: skip
GENERIC = {*SPLITS, "data", "dataset", "rows", "file", "all"}
"""Names that say nothing about a file; its folder's name says more."""
_NONE = Options()
_HUB = re.compile(r"[\w][\w.\-]*/[\w][\w.\-]*")


@dataclass(frozen=True, slots=True)
class Source:
    """``files`` maps a split to its files, for ``reader``; a Hub source has a ``repository`` instead of files.

    ``text`` says the source the same way every time: it is what a dataset's record remembers. ``root`` is the folder
    of a folder's files.
    """

    text: str
    name: str
    reader: Reader | None
    files: dict[str, list[Path]]
    repository: str = ""
    root: Path | None = None

    @property
    def every(self) -> list[Path]:
        return [path for paths in self.files.values() for path in paths]


def is_hub(source: str) -> bool:
    """Whether ``source`` means the Hub: ``hf:…``, or ``owner/name`` that is nothing here and has no file's ending."""
    if source.startswith("hf:"):
        return True
    path = Path(source)
    return bool(_HUB.fullmatch(source)) and kind_of(path) is None and not path.parent.exists() and not path.exists()


def absolute(source: str) -> str:
    """A local source as it is called from any folder; a Hub source unchanged."""
    if source.startswith(SQLITE):
        return f"{SQLITE}{Path(source.removeprefix(SQLITE)).expanduser().absolute()}"
    return source if is_hub(source) else str(Path(source).expanduser().absolute())


def kind_of(path: Path) -> Reader | None:
    """What a file's ending says is in it, beneath a packer's ending."""
    suffix = path.suffix.lower()
    return READERS.get(Path(path.stem).suffix.lower() if suffix in PACKED else suffix)


def is_packed(path: Path) -> bool:
    return path.suffix.lower() in PACKED


def find(source: str, options: Options = _NONE) -> Source:
    """Look at a source without reading it. Raises ``NotFound`` or ``DataError``."""
    if is_hub(source):
        repository = source.removeprefix("hf:")
        told = [
            f"@{options.revision}" if options.revision else "",
            f":{options.subset}" if options.subset else "",
            f"/{options.split}" if options.split else "",
        ]
        return Source(f"hf:{repository}{''.join(told)}", slug(f"{repository.split('/')[-1]} {options.subset}"), None, {}, repository)
    if options.revision or options.subset or options.split:
        raise DataError("--revision, --subset and --split are for datasets of the Hub.", f"{source} is looked for on this machine.")
    if source.startswith(SQLITE):
        return _database(source, Path(source.removeprefix(SQLITE)).expanduser().absolute(), options)
    path = Path(source).expanduser().absolute()
    if path.is_file():
        reader = _reader_of(path)
        if reader == "sqlite":
            return _database(source, path, options)
        text = f"{path}#{options.table}" if reader == "excel" and options.table else str(path)
        if (options.table and reader != "excel") or options.query:
            raise DataError("--table is for databases and workbooks, --query for databases.", f"{path.name} is neither.")
        return Source(text, _name(path), reader, {"train": [path]}, root=path.parent)
    if path.is_dir():
        return in_folder(str(path), path, slug(path.name))
    if glob.has_magic(path.name):
        files = _visible(path.parent.glob(path.name), path.parent)
        return _folder(str(path), path.parent, files, slug(path.parent.name))
    raise _missing(source, path)


def in_folder(text: str, root: Path, name: str) -> Source:
    """The files of a folder: those right in it, or in all folders below where those are what holds the data."""
    top = _visible(root.iterdir(), root)
    described = any(path.stem.lower() == "metadata" for path in top) or any(kind_of(path) in MEDIA for path in top)
    return _folder(text, root, _visible(root.rglob("*"), root) if described or not top else top, name)


def _database(source: str, path: Path, options: Options) -> Source:
    if not path.is_file():
        raise _missing(source, path)
    if options.table and options.query:
        raise DataError("A table and a query can't both be read.", "Give --table or --query.")
    part = options.table or options.query
    return Source(f"{SQLITE}{path}{f'#{part}' if part else ''}", slug(f"{path.stem} {options.table}"), "sqlite", {"train": [path]}, root=path.parent)


def slug(text: str) -> str:
    """A name that is easy to type and is safe as a folder's: lower case, digits, ``-``, ``_`` and dots."""
    ascii_text = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^\w.]+", "-", ascii_text).strip("-._")
    return re.sub(r"-{2,}", "-", plain)[:60] or "data"


def split_of(path: Path, root: Path, *, folders: bool = False) -> str:
    """The split that a file's name says, or else one of its ``folders`` below ``root``; ``train`` when none does."""
    for part in (*(() if folders else (path.stem,)), *reversed(path.parent.relative_to(root).parts)):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in SPLITS:
                return SPLITS[word]
    return "train"


def _name(path: Path) -> str:
    stem = Path(path.stem).stem if is_packed(path) else path.stem
    words = [word for word in re.split(r"[^\w]+", stem.lower()) if word]
    return slug(path.parent.name) if words and words[0] in GENERIC and path.parent.name else slug(stem)


def _reader_of(path: Path) -> Reader:
    reader = kind_of(path)
    if reader is None:
        message = f"{path.name}: Bittern does not know what is in a “{path.suffix or 'file without an ending'}”."
        raise DataError(message, f"It reads {KINDS}.")
    return reader


def _visible(paths: Iterable[Path], root: Path) -> list[Path]:
    """The files that some reader knows, without hidden ones and without what only describes a folder."""
    found = []
    for path in sorted(paths):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.is_file() and not hidden and kind_of(path) and path.stem.lower() not in ("readme", "license", "changelog"):
            found.append(path)
    return found


def _folder(text: str, root: Path, files: list[Path], name: str) -> Source:
    if not files:
        raise DataError(f"{text} holds no file that can be read.", f"Bittern reads {KINDS}.")
    kinds = Counter(kind for path in files if (kind := kind_of(path)))
    if len(kinds) > 1:
        kinds.pop("text", None)  # notes beside the data
    media = [kind for kind in MEDIA if kind in kinds]
    if media:
        kinds = Counter(kind for path in files if (kind := kind_of(path)) in kinds and path.stem.lower() != "metadata" and kind)
    if len(kinds) > 1:
        counted = " and ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        raise DataError(f"{text} holds {counted} files.", f"Add one kind at a time, for example: add {root}/*{files[0].suffix}")
    reader = next(iter(kinds))
    splits: dict[str, list[Path]] = {}
    for path in files:
        if kind_of(path) == reader or (media and path.stem.lower() == "metadata"):
            splits.setdefault(split_of(path, root, folders=bool(media)), []).append(path)
    if len(splits) == 1:
        splits = {"train": next(iter(splits.values()))}
    order = ("train", "validation", "test")
    return Source(text, name, reader, {split: splits[split] for split in order if split in splits}, root=root)


def _missing(source: str, path: Path) -> NotFound:
    if not path.parent.is_dir():
        return NotFound(
            f"There is no file {path}: the folder {path.parent} is not there.", "Check the path. A dataset of the Hub is written owner/name."
        )
    beside = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))
    hint = f"A dataset of the Hub is written owner/name. {path.parent} holds: {', '.join(beside[:8])}{' …' if len(beside) > 8 else ''}"
    error = NotFound.named("file", source, beside, hint)
    near = NotFound.named("file", path.name, beside)
    return NotFound(error.message, near.hint or hint)
