"""Commands about data: add, datasets, show."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from engine.commands.base import Desk, Now, Result, Table, Work
from engine.commands.naming import check_name
from engine.errors import DataError, HubError, NotFound, Repair

if TYPE_CHECKING:
    from engine.data.reading.options import Options
    from engine.jobs.context import JobContext, Where
    from engine.store.datasets import DatasetRecord
    from engine.store.workspace import Workspace


COLUMNS = ("text", "second", "label", "prompt", "completion", "tokens", "tags", "labels", "score", "anchor", "positive", "negative")
"""Roles of columns that a person can name."""


class Add(Work):
    """Add a dataset: a file, a folder or a pattern of files, a database, pictures or sounds, or a dataset of the Hub.

    CSV, TSV, JSON, JSON lines, Parquet, Arrow, text, Excel, SQLite and CoNLL, packed (.gz, .zst, .bz2, .xz, .zip) or not; how
    a file is written is found out and told. A folder of pictures or sounds takes its labels from metadata.csv,
    metadata.jsonl or its folders. What is broken is refused with its place and a way out.

    A source without a test split gets one, seeded. The same source again replaces the dataset by its new version.
    What the rows are for (conversation, instruction, classification, tagging, multilabel, regression, pair,
    triplet, text) is recognised; name columns to correct it.
    """

    verb = "add"
    effect = "write"
    words = ("source",)
    slot = "io"
    completes = {"source": "files"}
    examples = (
        "add reviews.csv", "add reviews.csv --text comment --label stars", "add broken.csv --bad skip", "add notes/ --name notes",
        "add sqlite:///shop.db --table orders", "add stanfordnlp/imdb --test 0", "add owner/large --rows 10000",
    )  # fmt: skip

    source: str = Field(description="A file, a folder, a pattern like logs/*.jsonl, sqlite:///FILE, or owner/name on the Hub", min_length=1)
    name: str = Field("", description="What to call it; from the file or folder otherwise")
    text: str = Field("", description="The column that holds the text")
    label: str = Field("", description="The column that holds the label")
    prompt: str = Field("", description="The column that holds the instruction or question")
    completion: str = Field("", description="The column that holds the answer")
    second: str = Field("", description="The column of a second text that is judged together with --text")
    tokens: str = Field("", description="The column that holds a list of words, each with a tag")
    tags: str = Field("", description="The column that holds the list of tags, one for each word")
    labels: str = Field("", description="The column that holds a list of labels, any number for a row")
    score: str = Field("", description="The column that holds the number to predict, or says how near a pair's texts are")
    anchor: str = Field("", description="The column of the text that others belong to, such as a question")
    positive: str = Field("", description="The column of the text that belongs to the anchor")
    negative: str = Field("", description="The column of a text that does not belong to the anchor")
    test: float = Field(0.1, ge=0, lt=1, description="Part of the rows set aside for testing where the source has one split only; 0 for none")
    seed: int = Field(42, ge=0, description="Which rows those are")
    rows: int = Field(0, ge=0, description="Take only the first rows, as a stream: for what is larger than the disk; 0 for all")
    bad: Literal["", "skip", "cast"] = Field(
        "",
        description="Bad rows: skip and list them; cast: empty and list the few values that are no numbers, dates or true and false as the rest of their column",
    )
    union: bool = Field(False, description="Take files with different columns together; what a file lacks is empty")
    delimiter: str = Field("", description="What parts the fields of a CSV file (“tab” for a tab); found by itself otherwise")
    encoding: str = Field("", description="How a text file is written, like utf-8 or cp1252; found by itself otherwise")
    header: Literal["auto", "yes", "no"] = Field("auto", description="Whether the first line names the columns; found by itself otherwise")
    field: str = Field("", description="Where the rows are in a JSON file that is one object, like data or data.items")
    table: str = Field("", description="The table of a database, or the sheet of a workbook")
    query: str = Field("", description="What to read from a database: a SELECT")
    by: Literal["", "line", "paragraph", "document"] = Field(
        "", description="What becomes a row of a text file; paragraphs where blank lines part them"
    )
    revision: str = Field("", description="A branch, tag or commit of a Hub dataset")
    subset: str = Field("", description="A part (configuration) of a Hub dataset")
    split: str = Field("", description="One split of a Hub dataset, like train or train[:1000]; all otherwise")

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str) -> str:
        value = {"tab": "\t", "\\t": "\t"}.get(value, value)
        if len(value) > 1:
            raise ValueError("this should be one character")
        return value

    def title(self) -> str:
        return f"add {self.name or self.source.rstrip('/').rsplit('/', 1)[-1]}"

    @property
    def where(self) -> Where:  # type: ignore[override]
        """The Hub needs a process that is online; everything else starts at once in a warm one."""
        from engine.data.reading.sources import is_hub

        return "fresh" if is_hub(self.source) else "warm"

    def prepare(self, desk: Desk) -> Add:
        from engine.data.reading import add, sources

        source = sources.find(self.source, self._options())
        if source.repository and desk.workspace.settings.hub == "off":
            raise HubError(f"{self.source} is on the Hub, and the Hub is switched off.", 'Set hub = "auto" in settings.toml, or add a file.')
        name = add.choose_name(desk.workspace, source, self.name)
        check_name("dataset", name)
        return self.model_copy(update={"source": sources.absolute(self.source), "name": name})

    def work(self, job: JobContext) -> Result:
        from engine.data.lineage import steps
        from engine.data.reading import add, faults, sources

        try:
            source = sources.find(self.source, self._options())
            name = add.choose_name(job.workspace, source, self.name)
            check_name("dataset", name)
            values = self.model_copy(update={"name": name}).model_dump(mode="json", exclude_defaults=True)
            record = add.add(job, source, name, self._options(), steps.Start(verb=self.verb, values=values))
        except DataError as error:
            error.repairs = tuple(Repair(label, self._line(values)) for label, values in error.changes)
            raise
        job.changed("datasets", name)
        job.workspace.remember("dataset", name)
        job.changed("settings", "dataset")
        first = next(iter(record.splits))
        summary, data = describe(record), as_data(job.workspace, record)
        if listed := faults.listed(Path(record.folder)):
            summary += f"; {listed:,} left out or emptied, and listed"
            data["left_out"] = {"count": listed, "file": str(Path(record.folder) / faults.FILE)}
        return Result(summary, data, body=record.note, opens=f"dataset:{name}/{first}/0")

    def _options(self) -> Options:
        from engine.data.reading.options import Options

        columns = {role: column for role in COLUMNS if (column := getattr(self, role))}
        same = {name: getattr(self, name) for name in Options.__dataclass_fields__ if name != "columns"}
        return Options(columns=columns, **same)

    def _line(self, values: dict[str, Any]) -> str:
        """The line that adds the same source with other ``values``."""
        from engine.commands.parse import to_line

        delimiter = "tab" if self.delimiter == "\t" else self.delimiter
        return to_line(self.model_copy(update={"delimiter": delimiter, **values}))


class Datasets(Now):
    """List the datasets: rows, splits, shape, columns, size, and whether each can be searched."""

    verb = "datasets"

    def run(self, desk: Desk) -> Result:
        records = desk.workspace.datasets.all()
        if not records:
            return Result("There is no dataset yet. Add one: add FILE.csv", {"datasets": []})
        found = [as_data(desk.workspace, record) for record in records]
        columns = ["name", "rows", "splits", "shape", "columns", "size", "index"]
        table = Table(
            columns,
            [
                [
                    _marked(item),
                    f"{item['rows']:,}",
                    _splits(item["splits"]),
                    item["shape"],
                    cell(", ".join(item["features"])),
                    size(item["bytes"]),
                    item["index"],
                ]
                for item in found
            ],
        )
        return Result(f"{len(found)} dataset{'s' if len(found) > 1 else ''}; * marks the one in use.", {"datasets": found}, table)


class Show(Now):
    """Show rows of a dataset, or one row in full.

    --where takes a condition as SQL writes it: texts in 'single quotes', names with a dash in "double" ones.
    """

    verb = "show"
    words = ("address",)
    completes = {"address": "datasets"}
    examples = ("show tickets", "show tickets/test --count 20", "show tickets/train/17", "show tickets --where \"label = 'refund'\" --sort -amount")

    address: str = Field("", description="NAME, NAME/SPLIT or NAME/SPLIT/ROW; the dataset in use otherwise")
    count: int = Field(10, ge=1, le=1000, description="How many rows")
    start: int = Field(0, ge=0, description="The first row, counted from 0")
    where: str = Field("", description="Only rows that fit a condition: \"label = 'refund' AND amount > 10\"")
    sort: list[str] = Field([], description="Columns to order by; -amount puts the largest first")
    columns: list[str] = Field([], description="Which columns, in this order")

    def run(self, desk: Desk) -> Result:
        from engine.data import rows
        from engine.data.looking.view import View, check_columns, parse_sort

        record, split, index = self._place(desk.workspace)
        names = check_columns(record, self.columns)
        if index is not None:
            row = rows.row(record, split, index)
            # Indented, so that the text is shown as it is wherever Markdown is drawn.
            body = "\n\n".join(indent(f"{whole(name)}\n{indent(whole(value), '  ')}", "    ") for name, value in row.items())
            place = f"{record.name}/{split}/{index}"
            return Result(f"{place} of {record.splits[split]:,} rows.", _window(record, split, index, [row]), body=body, opens=f"dataset:{place}")
        view = View(record, split, self.where, parse_sort(self.sort), desk.cancel)
        found = view.window(self.start, self.count)
        if not found:
            if not view.rows:
                return Result(f"No row of {record.name}/{split} fits.", {**_window(record, split, self.start, []), "indices": [], "matching": 0})
            raise NotFound(f"{record.name}/{split} has no row {self.start}.", f"Its rows are 0 to {view.rows - 1}.")
        kept = [(index, {name: row.get(name) for name in names}) for index, row in found]
        table = Table(["row", *map(cell, names)], [[str(index), *map(cell, row.values())] for index, row in kept])
        data = {**_window(record, split, self.start, [row for _, row in kept]), "indices": [index for index, _ in kept], "matching": view.rows}
        total = f"{view.rows:,}" + (f" that fit, of {record.splits[split]:,}" if self.where else "")
        last = self.start + len(found) - 1
        summary = f"{record.name}/{split}: rows {self.start} to {last} of {total}."
        return Result(summary, data, table, opens=f"dataset:{record.name}/{split}/{found[0][0]}")

    def _place(self, workspace: Workspace) -> tuple[DatasetRecord, str, int | None]:
        from engine.data.rows import check_split, parse_address

        address = self.address.removeprefix("dataset:") or workspace.recall("dataset")
        if not address:
            raise NotFound("No dataset is in use.", "Name one, or add one with: add FILE.csv")
        name, *rest = address.strip("/").split("/")
        record = workspace.datasets.get(name)
        split = rest[0] if rest else next(iter(record.splits))
        check_split(record, split)
        if len(rest) < 2:
            return record, split, None
        return record, split, parse_address(address)[2]


def as_data(workspace: Workspace, record: DatasetRecord) -> dict[str, Any]:
    """A dataset as JSON, with stable keys."""
    index = workspace.indexes.find(record.name)
    return {
        "dataset": record.name, "rows": record.rows, "splits": record.splits, "shape": record.shape, "columns": record.columns,
        "features": record.features, "bytes": record.bytes, "source": record.source, "fingerprint": record.fingerprint, "note": record.note,
        "index": "no" if index is None else "yes" if index.fingerprint == record.fingerprint else "out of date",
        "in_use": workspace.recall("dataset") == record.name,
    }  # fmt: skip


def describe(record: DatasetRecord) -> str:
    """“tickets: 100 rows (train 90, test 10), classification: text → label”."""
    roles = " → ".join(record.columns.values())
    return f"{record.name}: {record.rows:,} row{'s' if record.rows != 1 else ''} ({_splits(record.splits)}), {record.shape}{f': {roles}' if roles else ''}"


def size(count: int) -> str:
    """Bytes for people."""
    amount = float(count)
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def whole(value: Any) -> str:
    """A value as text, all of it, control characters made visible: data must not steer a terminal."""
    import json

    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return "".join(c if c in "\n\t" or (c.isprintable() or not _control(c)) else "�" for c in text)


def cell(value: Any, width: int = 80) -> str:
    """A value on one line of at most ``width`` characters."""
    line = " ".join(whole(value if not isinstance(value, str) else value[: width * 8]).split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _control(character: str) -> bool:
    """C0 and C1 controls, and the marks that turn the direction of a line."""
    code = ord(character)
    return code < 32 or 127 <= code < 160 or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069


def _splits(counts: dict[str, int]) -> str:
    return ", ".join(f"{split} {count}" for split, count in counts.items())


def _marked(item: dict[str, Any]) -> str:
    return f"{'* ' if item['in_use'] else ''}{item['dataset']}"


def _window(record: DatasetRecord, split: str, start: int, found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"dataset": record.name, "split": split, "start": start, "rows": found}
