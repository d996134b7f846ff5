"""Commands that index, search and ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.commands.base import Desk, Field, Now, Work
from engine.errors import DataError, NotFound, did_you_mean
from engine.models.starter import ENCODER
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.search.reader import Hit
    from engine.store.datasets import DatasetRecord
    from engine.store.models import ModelRecord


def chosen(desk: Desk, name: str) -> DatasetRecord:
    """The dataset of that name, or the one in use. Raises ``NotFound``."""
    name = name or desk.workspace.recall("dataset")
    if not name:
        raise NotFound("No dataset is in use.", "Name one with --on, choose one with `use NAME`, or add one: add FILE.")
    return desk.workspace.datasets.get(name)


def check_columns(record: DatasetRecord, columns: list[str]) -> None:
    """Raises ``DataError`` for a column that is not there, or when none of them weighs anything."""
    from engine.search.passages import weighted

    pairs = weighted(columns, record.features)
    for name, _ in pairs:
        if name not in record.features:
            hint = did_you_mean(name, record.features) or f"It has {', '.join(record.features)}."
            raise DataError(f"“{record.name}” has no column “{name}”.", hint)
    if pairs and not any(weight for _, weight in pairs):
        raise DataError("Every column has the weight 0.", "Give one of them more: --columns subject:2,body")


def search_encoder(desk: Desk, name: str = "") -> ModelRecord:
    """The encoder of that name, or the one that was chosen with `use`, or the starter. Raises ``NotFound``, ``DataError``."""
    chosen = desk.workspace.recall("encoder")
    record = desk.workspace.models.get(name or (chosen if desk.workspace.models.find(chosen) else ENCODER))
    if record.kind != "encoder":
        raise DataError(f"“{record.name}” is a {record.kind} model, not an encoder.", "Use minilm, or pull another sentence-transformers model.")
    return record


class Index(Work):
    """Make a dataset searchable by meaning and by words. Goes on where it stopped; embeds only what is new."""

    verb = "index"
    effect = "compute"
    words = ("dataset",)
    examples = (
        "index tickets",
        "index tickets --encoder minilm-tickets",
        "index tickets --columns subject,body",
        "index tickets --columns subject:2,body",
    )
    completes = {"dataset": "datasets", "encoder": "models"}

    dataset: str = Field(description="Which dataset")
    columns: list[str] = Field([], description="Columns to embed, each with :WEIGHT if one counts for more (those that its shape suggests)")
    encoder: str = Field("", description="The encoder to embed with (the one that was chosen with `use`, else minilm)")
    rebuild: bool = Field(False, description="Even when the index is up to date")

    def prepare(self, desk: Desk) -> Index:
        record = desk.workspace.datasets.get(self.dataset)
        check_columns(record, self.columns)
        return self.model_copy(update={"encoder": search_encoder(desk, self.encoder).name})

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
    examples = ("search angry about waiting --on tickets", "search --mode lexical refund", "search refund --where \"label = 'billing'\"")
    completes = {"on": "datasets", "rerank": "models"}

    query: str = Field(min_length=1, description="What to look for")
    on: str = Field("", description="Which dataset (the one in use)")
    count: int = Field(10, ge=1, le=1000, description="How many rows")
    mode: Literal["hybrid", "dense", "lexical"] = Field("hybrid", description="By both, by meaning alone, or by words alone")
    where: str = Field("", description="Only rows for which this SQL condition over the dataset's columns holds")
    rerank: str = Field("", description="A cross-encoder that reads the best rows again and orders them")

    def run(self, desk: Desk) -> Result:
        name = chosen(desk, self.on).name
        if self.rerank and (found := desk.workspace.models.get(self.rerank)).kind not in ("classifier", "reranker"):
            raise DataError(
                f"“{found.name}” is of the kind {found.kind}, not a reranker.",
                "Train one on pairs (--recipe rerank), or pull a cross-encoder, such as cross-encoder/ms-marco-MiniLM-L6-v2.",
            )
        hits = desk.reader.search(name, self.query, self.count, self.mode, desk.cancel, where=self.where, rerank=self.rerank)
        hits = desk.reader.pointed(name, self.query, hits, self.mode, desk.cancel)
        stale = " The data changed after the index was built: `index` brings it up to date." if desk.reader.stale(name) else ""
        data: dict[str, object] = {"dataset": name, "query": self.query, "mode": self.mode, "where": self.where, "rerank": self.rerank}
        if not hits:
            return Result(f"No row of {name} matches.{stale}", {**data, "hits": []})
        return _found(f"{_rows(len(hits))} of {name}, best first.{stale}", data, hits)


class Similar(Now):
    """Find the rows nearest in meaning to a row."""

    verb = "similar"
    effect = "compute"
    words = ("address",)
    examples = ("similar tickets/train/12",)

    address: str = Field(description="A row: DATASET/SPLIT/ROW")
    count: int = Field(10, ge=1, le=1000, description="How many rows")
    where: str = Field("", description="Only rows for which this SQL condition over the dataset's columns holds")

    def run(self, desk: Desk) -> Result:
        from engine.data.rows import parse_address

        name, split, row = parse_address(self.address)
        hits = desk.reader.similar(name, split, row, self.count, where=self.where)
        return _found(f"{_rows(len(hits))} like {self.address}.", {"dataset": name, "address": self.address, "where": self.where}, hits)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _found(summary: str, data: dict[str, object], hits: list[Hit]) -> Result:
    """A table of the hits: the sentence that answers, its words marked, or else the text; and all of it as JSON."""
    rows = [[hit.address, f"{hit.score:.3f}", shown(hit)] for hit in hits]
    found = [
        {"address": hit.address, "score": hit.score, "cosine": hit.cosine, "text": hit.text, "spans": hit.spans, "best": hit.best} for hit in hits
    ]  # fmt: skip
    return Result(summary, {**data, "hits": found}, Table(["row", "score", "text"], rows))


def shown(hit: Hit) -> str:
    """The best sentence of a hit with the query's words between ‹ and ›; its whole text where no word matched."""
    start, end = hit.best or (0, len(hit.text))
    text, at = "", start
    for first, last in hit.spans:
        if start <= first and last <= end:
            text += f"{hit.text[at:first]}‹{hit.text[first:last]}›"
            at = last
    return f"{'… ' if start else ''}{text}{hit.text[at:end]}{' …' if end < len(hit.text.rstrip()) else ''}"
