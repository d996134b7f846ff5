"""find: search the Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator, model_validator

from engine.commands.base import Desk, Field, Now
from engine.hub.find import parameters
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.hub.repository import Found


class Find(Now):
    """Search the Hub for models or datasets. Nothing is downloaded; `card` tells more of one, `pull` or `add` brings it."""

    verb = "find"
    effect = "network"
    words = ("query",)
    rest = True
    examples = ("find smollm2", "find --task text-classification --max-size 200M --sort likes", "find tickets --kind datasets --open")

    query: str = Field("", description="Words in the name")
    kind: Literal["models", "datasets"] = Field("models", description="What to look for")
    task: str = Field("", description="Only for this task: text-generation, text-classification, question-answering, …")
    library: str = Field("", description="Only for this library or format: transformers, gguf, peft, sentence-transformers")
    licence: str = Field("", description="Only under this licence: apache-2.0, mit, …")
    min_size: str = Field("", description="Models of at least so many parameters: 1B, 135M")
    max_size: str = Field("", description="Models of at most so many parameters")
    gated: bool = Field(False, description="Only those that ask for access first")
    open: bool = Field(False, description="Only those that anybody may take")
    sort: Literal["downloads", "likes", "trending", "updated"] = Field("downloads", description="What stands first")
    limit: int = Field(20, ge=1, le=200, description="How many at most")

    @field_validator("min_size", "max_size")
    @classmethod
    def _is_a_size(cls, value: str) -> str:
        if value:
            parameters(value)
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Find:
        if self.gated and self.open:
            raise ValueError("--gated and --open exclude each other")
        if self.kind == "datasets" and (self.min_size or self.max_size):
            raise ValueError("--min-size and --max-size count a model's parameters; datasets have none")
        return self

    def run(self, desk: Desk) -> Result:
        from engine.hub.find import Wish, find

        wish = Wish(
            self.query, self.kind, self.task, self.library, self.licence,
            parameters(self.min_size) if self.min_size else 0, parameters(self.max_size) if self.max_size else 0,
            True if self.gated else False if self.open else None, self.sort, self.limit,
        )  # fmt: skip
        found = find(desk.workspace.settings, wish, desk.cancel)
        records = desk.workspace.models.all() if self.kind == "models" else desk.workspace.datasets.all()
        here = {record.source.removeprefix("hf:") for record in records}
        data = {"kind": self.kind, "found": [{**as_data(item), "here": item.id in here} for item in found]}
        if not found:
            return Result(f"The Hub has no {self.kind} like that. Try fewer words or filters.", data)
        noun = self.kind[:-1] if len(found) == 1 else self.kind
        bring = "pull" if self.kind == "models" else "add"
        more = " There may be more: --limit." if len(found) == self.limit else ""
        return Result(f"{len(found)} {noun}.{more} `card ID` tells more of one, `{bring} ID` brings it.", data, _table(found, self.kind))


def as_data(found: Found) -> dict[str, Any]:
    """A listed model or dataset as the stable JSON of ``--json``."""
    return {
        "id": found.id, "kind": found.kind, "task": found.task, "library": found.library, "licence": found.licence,
        "parameters": found.parameters or None, "bytes": found.bytes or None, "rows": found.rows, "downloads": found.downloads,
        "likes": found.likes, "gated": found.gated, "private": found.private, "updated": found.updated,
    }  # fmt: skip


def _table(found: list[Found], kind: str) -> Table:
    from engine.hub.find import count_of

    def mark(item: Found) -> str:
        return "private" if item.private else "gated" if item.gated else ""

    if kind == "datasets":
        return Table(
            ["dataset", "task", "rows", "licence", "downloads", "updated", ""],
            [[item.id, item.task, item.rows, item.licence, f"{item.downloads:,}", item.updated, mark(item)] for item in found],
        )
    return Table(
        ["model", "task", "size", "licence", "downloads", "updated", ""],
        [
            [item.id, item.task, count_of(item.parameters) if item.parameters else "", item.licence, f"{item.downloads:,}", item.updated, mark(item)]
            for item in found
        ],
    )
