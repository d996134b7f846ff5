"""Commands about tables: sql, keep, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now, Work
from engine.commands.data.datasets import as_data, cell, describe
from engine.commands.data.datasets import size as told_size
from engine.commands.naming import check_name
from engine.errors import DataError
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.workspace import Workspace


class Sql(Now):
    """Ask the datasets in SQL (DuckDB's). It only reads, and only datasets; alone, it lists the tables.

    A dataset is a table, and so is a split: tickets, tickets.test. Beside its own columns it has _split and _row. A name with
    a dash stands in "double quotes", or with underscores: cls_news. Texts stand in 'single quotes'.
    """

    verb = "sql"
    effect = "compute"
    words = ("query",)
    rest = True
    raw = True
    examples = (
        "sql SELECT label, count(*) AS n FROM tickets GROUP BY label ORDER BY n DESC",
        "sql SELECT * FROM tickets.test WHERE length(text) > 200 --limit 20",
        "sql --keep long SELECT * FROM tickets WHERE length(text) > 200",
    )

    query: str = Field("", description="A SELECT statement")
    limit: int = Field(1000, ge=1, le=100_000, description="Rows to show at most")
    seconds: float = Field(30, gt=0, le=3600, description="How long it may take")
    keep: str = Field("", description="Keep the whole answer as a dataset of this name")

    def run(self, desk: Desk) -> Result:
        from engine.data.looking.query import Query

        if not self.query.strip():
            return _tables(desk.workspace)
        if self.keep:
            record = desk.queue.submit(Keep(name=self.keep, query=self.query).prepare(desk))
            return Result(f"Job {record.id} is queued: {record.title}.", {"job": record.id}, opens=f"job:{record.id}")
        query = Query(desk.workspace.datasets.all(), self.query, self.limit, self.seconds)
        query.token = desk.cancel
        answer = query.run()
        found = answer.window(0, answer.rows)
        table = Table([cell(name) for name in answer.columns], [[cell(value) for value in row.values()] for row in found])
        rows = f"{answer.rows:,} row{'s' if answer.rows != 1 else ''}"
        summary = f"The first {rows}; there are more (--limit, or --keep NAME for all)." if answer.cut else f"{rows} in {answer.seconds:.2f} s."
        data = {"query": query.statement, "columns": answer.columns, "rows": found, "cut": answer.cut, "seconds": round(answer.seconds, 3)}
        return Result(summary, data, table)


class Keep(Work):
    """Keep the whole answer of a query as a dataset. Its source is the query; the same answer has the same fingerprint.

    A column _split parts the rows into splits, so that SELECT * keeps those of the dataset.
    """

    verb = "keep"
    effect = "write"
    words = ("name", "query")
    rest = True
    raw = True
    slot = "io"
    examples = ("keep long SELECT * FROM tickets WHERE length(text) > 200", "keep labels SELECT label, count(*) AS n FROM tickets GROUP BY label")

    name: str = Field(min_length=1, description="The new dataset's name")
    query: str = Field(min_length=1, description="A SELECT statement")

    def title(self) -> str:
        return f"keep {self.name}"

    def prepare(self, desk: Desk) -> Keep:
        from engine.data.looking.query import Query

        check_name("dataset", self.name)
        _free(desk.workspace, self.name, self.query)
        Query(desk.workspace.datasets.all(), self.query).check()
        return self

    def work(self, job: JobContext) -> Result:
        from engine.data.lineage.keep import keep

        _free(job.workspace, self.name, self.query)
        record = keep(job, self.name, self.query)
        job.changed("datasets", record.name)
        return Result(f"{describe(record)}.", as_data(job.workspace, record), opens=f"dataset:{record.name}/{next(iter(record.splits))}/0")


class Export(Work):
    """Write a dataset, or a split of it, to a CSV, JSONL or Parquet file. A file that is there is not replaced without --force.

    In CSV, lists and structs become JSON. With --sort the rows of all splits are ordered together.
    """

    verb = "export"
    effect = "write"
    words = ("address", "file")
    slot = "io"
    completes = {"address": "datasets", "file": "files"}
    examples = (
        "export tickets tickets.parquet",
        "export tickets/test late.csv --where \"label = 'late'\" --columns text,label",
        "export tickets dear.csv --sort -amount",
    )

    address: str = Field(min_length=1, description="NAME for all its rows, or NAME/SPLIT")
    file: str = Field(min_length=1, description="What to write; its ending says how: .csv, .jsonl or .parquet")
    where_: str = Field("", description="Only rows that fit a condition: \"label = 'refund' AND amount > 10\"")
    sort: list[str] = Field([], description="Columns to order by; -amount puts the largest first")
    columns: list[str] = Field([], description="Which columns, in this order")
    force: bool = Field(False, description="Replace the file if it is there")

    def title(self) -> str:
        return f"export {self.address} to {Path(self.file).name}"

    def prepare(self, desk: Desk) -> Export:
        from engine.data.looking.export import check_target
        from engine.data.looking.view import check_columns, check_where, parse_sort

        record, splits = self._splits(desk.workspace)
        check_columns(record, self.columns)
        check_columns(record, [column for column, _ in parse_sort(self.sort)])
        check_where(record, splits[0], self.where_)
        return self.model_copy(update={"file": str(check_target(Path(self.file), force=self.force))})

    def work(self, job: JobContext) -> Result:
        from engine.data.looking.export import export
        from engine.data.looking.view import parse_sort

        record, splits = self._splits(job.workspace)
        file = Path(self.file)
        count = export(job, record, splits, file, self.where_, self.columns, parse_sort(self.sort), force=self.force)
        size = file.stat().st_size
        data = {"file": str(file), "rows": count, "bytes": size, "dataset": record.name, "splits": splits}
        return Result(f"{count:,} row{'s' if count != 1 else ''} of {self.address} are in {file} ({told_size(size)}).", data)

    def _splits(self, workspace: Workspace) -> tuple[DatasetRecord, list[str]]:
        from engine.data.rows import check_split

        name, _, split = self.address.removeprefix("dataset:").strip("/").partition("/")
        record = workspace.datasets.get(name)
        if split:
            check_split(record, split)
        return record, [split] if split else list(record.splits)


def _free(workspace: Workspace, name: str, query: str) -> None:
    """A dataset is replaced only by the same query's new answer. Raises ``DataError``."""
    found = workspace.datasets.find(name)
    if found is not None and found.source != query.strip().rstrip(";"):
        raise DataError(f"“{name}” is already a dataset, from {cell(found.source)}.", f"Choose another name, or first: forget {name}")


def _tables(workspace: Workspace) -> Result:
    records = workspace.datasets.all()
    found: list[dict[str, Any]] = [{"table": record.name, "splits": record.splits, "columns": record.features} for record in records]
    rows = [[item["table"], cell(", ".join(f"{name} {kind}" for name, kind in item["columns"].items()), 110)] for item in found]
    summary = "Write a query: sql SELECT … FROM TABLE" if found else "There is no dataset to query yet. Add one: add FILE.csv"
    return Result(summary, {"tables": found}, Table(["table", "columns"], rows) if rows else None, opens="sql:")
