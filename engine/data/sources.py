"""What a source is: a file, a folder or a pattern of files, or a dataset of the Hub; which reader; which split."""

from __future__ import annotations

import glob
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.errors import DataError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

Reader = Literal["csv", "json", "parquet", "text"]
READERS: dict[str, Reader] = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv",
    ".json": "json", ".jsonl": "json", ".ndjson": "json",
    ".parquet": "parquet", ".pq": "parquet",
    ".txt": "text", ".text": "text", ".md": "text", ".log": "text", ".rst": "text",
}  # fmt: skip
SPLITS = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation", "development": "validation",
}  # fmt: skip
GENERIC = {*SPLITS, "data", "dataset", "rows", "file", "all"}
"""Names that say nothing about a file; its folder's name says more."""
_HUB = re.compile(r"[\w][\w.\-]*/[\w][\w.\-]*")


@dataclass(frozen=True, slots=True)
class Source:
    """``files`` maps a split to its files, for ``reader``; a Hub source has a ``repository`` instead of files.

    ``text`` says the source the same way every time: it is what a dataset's record remembers.
    """

    text: str
    name: str
    reader: Reader | None
    files: dict[str, list[Path]]
    repository: str = ""

    @property
    def every(self) -> list[Path]:
        return [path for paths in self.files.values() for path in paths]


def is_hub(source: str) -> bool:
    """Whether ``source`` means the Hub: ``hf:…``, or ``owner/name`` that is nothing here and has no file's ending."""
    if source.startswith("hf:"):
        return True
    path = Path(source)
    return bool(_HUB.fullmatch(source)) and path.suffix.lower() not in READERS and not path.parent.exists() and not path.exists()


def absolute(source: str) -> str:
    """A local source as it is called from any folder; a Hub source unchanged."""
    return source if is_hub(source) else str(Path(source).expanduser().absolute())


def find(source: str, revision: str = "", subset: str = "") -> Source:
    """Look at a source without reading it. Raises ``NotFound`` or ``DataError``."""
    if is_hub(source):
        repository = source.removeprefix("hf:")
        text = f"hf:{repository}" + (f"@{revision}" if revision else "") + (f":{subset}" if subset else "")
        return Source(text, slug(f"{repository.split('/')[-1]} {subset}"), None, {}, repository)
    if revision or subset:
        raise DataError("--revision and --subset are for datasets of the Hub.", f"{source} is looked for on this machine.")
    path = Path(source).expanduser().absolute()
    if path.is_file():
        return Source(str(path), _name(path), _reader_of(path), {"train": [path]})
    if path.is_dir():
        return _folder(str(path), path, _visible(path.iterdir(), path) or _visible(path.rglob("*"), path), slug(path.name))
    if glob.has_magic(path.name):
        files = _visible(path.parent.glob(path.name), path.parent)
        return _folder(str(path), path.parent, files, slug(path.parent.name))
    raise _missing(source, path)


def slug(text: str) -> str:
    """A name that is easy to type and is safe as a folder's: lower case, digits, ``-``, ``_`` and dots."""
    ascii_text = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^\w.]+", "-", ascii_text).strip("-._")
    return re.sub(r"-{2,}", "-", plain)[:60] or "data"


def split_of(path: Path, root: Path) -> str:
    """The split that a file's name says, or else one of its folders below ``root``; ``train`` when none does."""
    for part in (path.stem, *reversed(path.parent.relative_to(root).parts)):
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in SPLITS:
                return SPLITS[word]
    return "train"


def _name(path: Path) -> str:
    words = [word for word in re.split(r"[^\w]+", path.stem.lower()) if word]
    return slug(path.parent.name) if words and words[0] in GENERIC and path.parent.name else slug(path.stem)


def _reader_of(path: Path) -> Reader:
    try:
        return READERS[path.suffix.lower()]
    except KeyError:
        kinds = "CSV, TSV, JSON, JSON lines, Parquet and text"
        raise DataError(
            f"{path.name}: Bittern does not know what is in a “{path.suffix or 'file without an ending'}”.", f"It reads {kinds}."
        ) from None


def _visible(paths: Iterable[Path], root: Path) -> list[Path]:
    """The files that some reader knows, without hidden ones and without what only describes a folder."""
    found = []
    for path in sorted(paths):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.is_file() and not hidden and path.suffix.lower() in READERS and path.stem.lower() not in ("readme", "license", "changelog"):
            found.append(path)
    return found


def _folder(text: str, root: Path, files: list[Path], name: str) -> Source:
    if not files:
        raise DataError(f"{text} holds no file that can be read.", "Bittern reads CSV, TSV, JSON, JSON lines, Parquet and text.")
    kinds = Counter(READERS[path.suffix.lower()] for path in files)
    if len(kinds) > 1:
        kinds.pop("text", None)  # notes beside the data
    if len(kinds) > 1:
        counted = " and ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        raise DataError(f"{text} holds {counted} files.", f"Add one kind at a time, for example: add {root}/*{files[0].suffix}")
    reader = next(iter(kinds))
    splits: dict[str, list[Path]] = {}
    for path in files:
        if READERS[path.suffix.lower()] == reader:
            splits.setdefault(split_of(path, root), []).append(path)
    if len(splits) == 1:
        splits = {"train": next(iter(splits.values()))}
    order = ("train", "validation", "test")
    return Source(text, name, reader, {split: splits[split] for split in order if split in splits})


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
