"""Commands that index, search and ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.commands.base import Desk, Field, Now, Work
from engine.errors import DataError, NotFound, did_you_mean
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.search.reader import Hit
    from engine.store.datasets import DatasetRecord


def chosen(desk: Desk, name: str) -> DatasetRecord:
    """The dataset of that name, or the one in use. Raises ``NotFound``."""
    name = name or desk.workspace.recall("dataset")
    if not name:
        raise NotFound("No dataset is in use.", "Name one with --on, choose one with `use NAME`, or add one: add FILE.")
    return desk.workspace.datasets.get(name)


class Index(Work):
    """Make a dataset searchable by meaning and by words. Goes on where it stopped; embeds only what is new."""

    verb = "index"
    effect = "compute"
    words = ("dataset",)
    examples = ("index tickets", "index tickets --columns subject,body")
    completes = {"dataset": "datasets", "encoder": "models"}

    dataset: str = Field(description="Which dataset")
    columns: list[str] = Field([], description="Columns to embed (those that its shape suggests)")
    encoder: str = Field("minilm", description="The encoder to embed with")
    rebuild: bool = Field(False, description="Even when the index is up to date")

    def prepare(self, desk: Desk) -> Index:
        record = desk.workspace.datasets.get(self.dataset)
        encoder = desk.workspace.models.get(self.encoder)
        if encoder.kind != "encoder":
            raise DataError(
                f"“{encoder.name}” is a {encoder.kind} model, not an encoder.", "Use minilm, or pull another sentence-transformers model."
            )
        for column in self.columns:
            if column not in record.features:
                raise DataError(
                    f"“{record.name}” has no column “{column}”.", did_you_mean(column, record.features) or f"It has {', '.join(record.features)}."
                )
        return self

    def work(self, job: JobContext) -> Result:
        from engine.search.index import build, fresh

        dataset, encoder = job.workspace.datasets.get(self.dataset), job.workspace.models.get(self.encoder)
        if not self.rebuild and (found := fresh(job.workspace, dataset, encoder, self.columns)):
            data = {"dataset": self.dataset, "passages": found.passages, "built": False}
            return Result(f"{self.dataset} is indexed already: {found.passages} passages.", data)
        record = build(job, dataset, self.encoder, self.columns, afresh=self.rebuild)
        return Result(
            f"{self.dataset}: {record.passages} passages indexed.",
            {"dataset": self.dataset, "passages": record.passages, "built": True},
            opens=f"dataset:{self.dataset}",
        )


class Search(Now):
    """Find rows by meaning and by words, best first."""

    verb = "search"
    effect = "compute"
    words = ("query",)
    rest = True
    examples = ("search angry about waiting --on tickets", "search --mode lexical refund")
    completes = {"on": "datasets"}

    query: str = Field(min_length=1, description="What to look for")
    on: str = Field("", description="Which dataset (the one in use)")
    count: int = Field(10, ge=1, le=1000, description="How many rows")
    mode: Literal["hybrid", "dense", "lexical"] = Field("hybrid", description="By both, by meaning alone, or by words alone")

    def run(self, desk: Desk) -> Result:
        name = chosen(desk, self.on).name
        hits = desk.reader.search(name, self.query, self.count, self.mode, desk.cancel)
        stale = " The data changed after the index was built: `index` brings it up to date." if desk.reader.stale(name) else ""
        if not hits:
            return Result(f"No row of {name} matches.{stale}", {"dataset": name, "query": self.query, "hits": []})
        return _found(f"{len(hits)} rows of {name}, best first.{stale}", {"dataset": name, "query": self.query, "mode": self.mode}, hits)


class Similar(Now):
    """Find the rows nearest in meaning to a row."""

    verb = "similar"
    effect = "compute"
    words = ("address",)
    examples = ("similar tickets/train/12",)

    address: str = Field(description="A row: DATASET/SPLIT/ROW")
    count: int = Field(10, ge=1, le=1000, description="How many rows")

    def run(self, desk: Desk) -> Result:
        from engine.data.rows import parse_address

        name, split, row = parse_address(self.address)
        hits = desk.reader.similar(name, split, row, self.count)
        return _found(f"{len(hits)} rows like {self.address}.", {"dataset": name, "address": self.address}, hits)


def _found(summary: str, data: dict[str, object], hits: list[Hit]) -> Result:
    rows = [[hit.address, f"{hit.score:.3f}", hit.text] for hit in hits]
    found = [{"address": hit.address, "score": hit.score, "cosine": hit.cosine, "text": hit.text} for hit in hits]
    return Result(summary, {**data, "hits": found}, Table(["row", "score", "text"], rows))
