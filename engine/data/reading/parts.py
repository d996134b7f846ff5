"""The files of a source, checked and made ready: which packaged reader of ``datasets`` takes them, with which options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.data import maps
from engine.data.reading import arrowfile, check, conllfile, csvfile, encoding, jsonfile, parquet, tables, union
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from engine.data.reading.csvfile import Layout
    from engine.data.reading.faults import LeftOut, Survey
    from engine.data.reading.options import Options
    from engine.data.reading.sources import Source
    from engine.jobs.context import JobContext


@dataclass(frozen=True, slots=True)
class Part:
    """Files that one call of ``load_dataset`` reads. ``name`` is what an error calls them; ``whole`` are columns
    that hold nothing but whole numbers, and may lack some: pandas makes fractions of those."""

    builder: str
    name: str
    files: dict[str, list[Path]]
    options: dict[str, Any]
    layout: Layout | None = None
    whole: frozenset[str] = frozenset()


@dataclass(slots=True)
class Desk:
    """What the checks of one import share: the job, a folder for copies, the list of what is left out, and the notes."""

    job: JobContext
    folder: Path
    options: Options
    left: LeftOut
    notes: list[str] = field(default_factory=list)
    _copies: int = 0

    def copy(self, path: Path, suffix: str = "") -> Path:
        """A place for a file's mended copy, which keeps the file's name for errors."""
        self._copies += 1
        return self.folder / str(self._copies) / (f"{path.stem}{suffix}" if suffix else path.name)


def of(desk: Desk, source: Source) -> list[Part]:
    """Raises ``DataError``, with repairs on offer, and ``Stopped``."""
    empty = next((path for path in source.every if path.stat().st_size == 0), None)
    if empty is not None:
        raise DataError(f"{empty.name} is empty.", "There is nothing in it to add.")
    makers: dict[str, Callable[[Desk, Source], list[Part]]] = {
        "csv": _csv, "json": _json, "text": _text, "parquet": _parquet, "arrow": _arrow, "excel": _tables, "sqlite": _tables, "conll": _conll,
    }  # fmt: skip
    return makers[str(source.reader)](desk, source)


def by_file(part: Part) -> list[Part]:
    """The same files, each a part of its own."""
    return [Part(part.builder, path.name, {split: [path]}, part.options, part.layout, part.whole) for split, path in _each(part.files)]


def _each(files: dict[str, list[Path]]) -> Iterator[tuple[str, Path]]:
    return ((split, path) for split, paths in files.items() for path in paths)


def _one(builder: str, source: Source, files: dict[str, list[Path]], options: dict[str, Any], desk: Desk) -> list[Part]:
    paths = [path for _, path in _each(files)]
    part = Part(builder, paths[0].name if len(paths) == 1 else source.text, files, options)
    return by_file(part) if desk.options.union else [part]


def _bad(desk: Desk, found: Survey) -> bool:
    """Whether a mended copy is to be made. Raises ``DataError`` where nobody said so."""
    if found.bad and desk.options.bad != "skip":
        raise found.error()
    return bool(found.bad)


def _csv(desk: Desk, source: Source) -> list[Part]:
    options, made = desk.options, []  # type: Options, list[tuple[str, Path, Layout]]
    shown: dict[str, None] = {}
    codes: dict[str, None] = {}
    whole: list[frozenset[str]] = []
    for split, path in _each(source.files):
        layout = csvfile.layout_of(desk.job, path, options.delimiter, options.encoding, options.header)
        found, layout = csvfile.survey(desk.job, path, layout, options.rows)
        shown[_shown(layout)] = None
        whole.append(frozenset(name for at, name in enumerate(layout.names) if at not in found.others | found.codes))
        codes.update(dict.fromkeys(layout.names[at] for at in sorted(found.codes)))
        if _bad(desk, found) or options.rows:
            copy = desk.copy(path)
            layout = csvfile.mend(desk.job, path, layout, copy, desk.left, options.rows)
            path = copy  # noqa: PLW2901
        made.append((split, path, layout))
    desk.notes.append(f"Read as CSV: {'; or '.join(list(shown)[:3])}.")
    if codes:
        named = ", ".join(f"“{name}”" for name in list(codes)[:6])
        desk.notes.append(f"{named} stay{'s' if len(codes) == 1 else ''} text: digits with a zero in front, or more of them than a number holds.")
    if len({layout.names for _, _, layout in made}) > 1 and not options.union:
        refused = union.refusal({path.name: dict.fromkeys(layout.names, "") for _, path, layout in made})
        if refused is not None:
            raise refused
    if len({(layout.names, layout.delimiter, layout.encoding, layout.quoting, layout.header) for _, _, layout in made}) == 1:
        layout = made[0][2]
        return [
            Part(
                "csv",
                made[0][1].name if len(made) == 1 else source.text,
                _grouped(made),
                csvfile.reader_options(layout, codes),
                layout,
                frozenset.intersection(*whole),
            )
        ]
    return [
        Part("csv", path.name, {split: [path]}, csvfile.reader_options(layout, codes), layout, of)
        for (split, path, layout), of in zip(made, whole, strict=True)
    ]


def _shown(layout: Layout) -> str:
    if layout.header or not layout.guessed:
        return layout.words()
    return f"{layout.words()}, so the columns are called {layout.names[0]} and so on (if it does hold names: --header yes)"


def _grouped(made: Sequence[tuple[str, Path, Any]]) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for split, path, _ in made:
        files.setdefault(split, []).append(path)
    return files


def _json(desk: Desk, source: Source) -> list[Part]:
    files: dict[str, list[Path]] = {}
    for split, path in _each(source.files):
        found = jsonfile.encoding_of(desk.job, path, desk.options.encoding)
        lines = jsonfile.is_lines(path, found) and not desk.options.field
        used = _json_lines(desk, path, found) if lines else _json_whole(desk, path, found)
        if used == path and found not in ("utf-8", "utf-8-sig"):
            used = desk.copy(path)
            jsonfile.recode(path, found, used)
        files.setdefault(split, []).append(used)
        desk.notes.append(f"Read as JSON{' lines' if lines else ''}, {found}.")
    desk.notes[:] = dict.fromkeys(desk.notes)
    return _one("json", source, files, {"parse_agent_traces": False}, desk)


def _json_lines(desk: Desk, path: Path, found: str) -> Path:
    skip, rows = desk.options.bad == "skip", desk.options.rows
    if not _bad(desk, jsonfile.survey(desk.job, path, found, strict=skip or bool(rows), rows=rows)) and not rows:
        return path
    copy = desk.copy(path, ".jsonl")
    jsonfile.mend(desk.job, path, found, copy, desk.left, rows)
    return copy


def _json_whole(desk: Desk, path: Path, found: str) -> Path:
    skip, copy = desk.options.bad == "skip", desk.copy(path, ".jsonl")
    try:
        value = jsonfile.whole(path, found, strict=skip)
    except DataError:
        if not skip or not (good := jsonfile.rescue(path, found, desk.left)):
            raise
        jsonfile.write(good, copy, path.name, desk.left)
        return copy
    if skip and isinstance(value, list) and any(isinstance(item, dict) for item in value):
        rows, place = (None, "") if all(isinstance(item, dict) for item in value) else (value, "")
    else:
        rows, place = jsonfile.rows_in(path, value, desk.options.field)
    if rows is None:
        return path
    if place:
        desk.notes.append(f"The rows are those of “{place}” in {path.name}.")
    jsonfile.write(rows, copy, path.name, desk.left)
    return copy


def json_fault(desk: Desk, source: Source) -> DataError | None:
    """What another reader than Python's refuses in a file that Python reads, and where."""
    for path in source.every:
        found = jsonfile.encoding_of(desk.job, path, desk.options.encoding)
        try:
            if not jsonfile.is_lines(path, found):
                jsonfile.whole(path, found, strict=True)
                continue
            seen = jsonfile.survey(desk.job, path, found, strict=True)
        except DataError as error:
            return error
        if seen.bad:
            return seen.error()
    return None


def _conll(desk: Desk, source: Source) -> list[Part]:
    made: list[tuple[str, Path, tuple[str, ...]]] = []
    for split, path in _each(source.files):
        copy = desk.copy(path, ".jsonl")
        made.append((split, copy, conllfile.rewrite(desk.job, path, copy, desk.options.encoding)))
    empty = next((path.name for path, (_, _, names) in zip(source.every, made, strict=True) if not names), "")
    if empty:
        raise DataError(f"{empty} holds no tagged word.", "A line holds a word and its tags, with a tab or a space between them.")
    desk.notes.append(f"Read as CoNLL, a sentence a row: {', '.join(made[0][2])}.")
    return _one("json", source, _grouped(made), {}, desk)


def _text(desk: Desk, source: Source) -> list[Part]:
    files: dict[str, list[Path]] = {}
    written: set[str] = set()
    for split, path in _each(source.files):
        found = encoding.find(desk.job, path, desk.options.encoding)
        used = path
        if not check.is_text(path, found) and _bad(desk, check.survey_text(desk.job, path, found)):
            used = desk.copy(path)
            check.mend_text(desk.job, path, found, used, desk.left)
            found = "utf-8"
        written.add(found)
        files.setdefault(split, []).append(used)
    plain = {found.removesuffix("-sig") for found in written}
    if len(plain) > 1:
        message = f"The files of {source.text} are not written alike: {', '.join(sorted(plain))}."
        raise DataError(message, "Add them one by one, or write them alike.")
    used_encoding = plain.pop()
    unit = desk.options.by or check.text_unit(next(path for _, path in _each(files)), used_encoding)
    if desk.options.rows and unit != "document":
        files = {
            split: [check.text_head(path, used_encoding, desk.copy(path), desk.options.rows, unit) for path in paths]
            for split, paths in files.items()
        }
    desk.notes.append(f"Read as text, {used_encoding}: each {unit} is a row.")
    return _one("text", source, files, {"encoding": used_encoding.replace("utf-8", "utf-8-sig"), "sample_by": unit}, desk)


def _parquet(desk: Desk, source: Source) -> list[Part]:
    from pyarrow.dataset import ParquetFragmentScanOptions

    columns = {path.name: parquet.columns_of(path) for path in source.every}
    names = {name: dict.fromkeys(found, "") for name, found in columns.items()}
    if not desk.options.union and (refused := union.refusal(names)):
        raise refused
    desk.notes.append("Read as Parquet.")
    rows, skip = desk.options.rows, desk.options.bad == "skip"
    mapped = list(dict.fromkeys(name for path in source.every for name in parquet.maps_of(path)))
    files: dict[str, list[Path]] = {}
    copying = bool(rows or skip or mapped)
    for split, path in _each(source.files):
        copy = desk.copy(path, ".arrow")
        if rows:
            parquet.head(path, copy, rows)
        elif skip:
            parquet.mend(desk.job, path, copy, desk.left)
        elif copying:
            parquet.copied(desk.job, path, copy)
        files.setdefault(split, []).append(copy if copying else path)
    if mapped:
        desk.notes.append(maps.said(mapped))
    if copying:
        return _one("arrow", source, files, {}, desk)
    options = {"batch_size": 1000, "fragment_scan_options": ParquetFragmentScanOptions(page_checksum_verification=True)}
    return _one("parquet", source, files, options, desk)


def parquet_fault(desk: Desk, source: Source) -> DataError | None:
    """Which row group of which file can't be read."""
    for path in source.every:
        found = parquet.survey(desk.job, path)
        if found.bad:
            return found.error()
    return None


def _arrow(desk: Desk, source: Source) -> list[Part]:
    files: dict[str, list[Path]] = {}
    left = desk.left if desk.options.bad == "skip" else None
    desk.notes.append("Read as Arrow.")
    for split, path in _each(source.files):
        copy = desk.copy(path, ".arrow")
        desk.notes += arrowfile.copied(desk.job, path, copy, left, desk.options.rows)
        files.setdefault(split, []).append(copy)
    desk.notes[:] = dict.fromkeys(desk.notes)
    return _one("arrow", source, files, {}, desk)


def _tables(desk: Desk, source: Source) -> list[Part]:
    files: dict[str, list[Path]] = {}
    for split, path in _each(source.files):
        copy = desk.copy(path, ".arrow")
        if source.reader == "sqlite":
            tables.from_database(desk.job, path, copy, desk.options, desk.notes)
        else:
            tables.from_workbook(desk.job, path, copy, desk.options, desk.notes, desk.left)
        files.setdefault(split, []).append(copy)
    desk.notes[:] = dict.fromkeys(desk.notes)
    return _one("arrow", source, files, {}, desk)
