"""stats: what is in a dataset's columns, over all rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Work
from engine.commands.data import cell
from engine.errors import DataError, ModelError
from engine.results import Result, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.jobs.context import JobContext
    from engine.store.models import ModelRecord


class Stats(Work):
    """Statistics over all rows: types, empty and different values, quantiles, histograms, frequent values, lengths of texts,
    labels in each split, languages. Computed once for a version of a dataset; asked again, they are there at once.

    Languages are guessed from about a thousand rows. From five million rows on, quantiles and the number of different values
    are estimates.
    """

    verb = "stats"
    effect = "compute"
    words = ("dataset",)
    completes = {"dataset": "datasets", "tokens": "models"}
    examples = ("stats tickets", "stats tickets --tokens smollm2")

    dataset: str = Field("", description="Which dataset (the one in use)")
    tokens: str = Field("", description="Count the tokens of texts too, as this model counts them")
    again: bool = Field(False, description="Compute them anew")

    def prepare(self, desk: Desk) -> Stats:
        from engine.commands.search import chosen

        if self.tokens:
            _tokenizer_file(desk.workspace.models.get(self.tokens))
        return self.model_copy(update={"dataset": chosen(desk, self.dataset).name})

    def ready(self, desk: Desk) -> Result | None:
        from engine.data.stats import cached

        found = None if self.again else cached(desk.workspace.datasets.get(self.dataset), self.tokens)
        return told(found) if found else None

    def opens(self, job: str) -> str:  # noqa: ARG002
        return f"stats:{self.dataset}"

    def work(self, job: JobContext) -> Result:
        from engine.data.stats import compute, forget

        record = job.workspace.datasets.get(self.dataset)
        if self.again:
            forget(record)
        count = _counter(job.workspace.models.get(self.tokens)) if self.tokens else None
        return told(compute(job, record, self.tokens, count))


def told(stats: dict[str, Any]) -> Result:
    """Statistics as an answer."""
    rows = []
    for column in stats["columns"]:
        figures = column.get("figures", {})
        top = ", ".join(f"{item['value']} ({item['count']:,})" for item in column.get("top", [])[:3])
        distinct = f"{'~' if column.get('distinct_approximate') else ''}{column['distinct']:,}" if "distinct" in column else ""
        least, most = (figures.get("first"), figures.get("last")) if column["kind"] == "time" else (figures.get("min"), figures.get("max"))
        rows.append([
            cell(column["name"], 30), column["kind"], f"{column['nulls']:,}", distinct, number(least), number(None if "first" in figures else figures.get("mean")),
            number(most), cell(top, 50),
        ])  # fmt: skip
    table = Table(["column", "kind", "empty", "different", "least", "mean", "most", "frequent"], rows)
    lines = [f"- {cell(split, 30)}: {_shares(values)}" for split, values in stats["balance"].get("splits", {}).items()]
    for column in stats["columns"]:
        if spoken := column.get("language", {}).get("languages"):
            said = ", ".join(f"{item['language']} {item['count']:,}" for item in spoken[:5])
            lines.append(f"- {cell(column['name'], 30)}: languages of {column['language']['sample']:,} rows: {said}")
        if (tokens := column.get("tokens")) and tokens["rows"]:
            part = "all rows" if tokens["rows"] == tokens["of"] else f"{tokens['rows']:,} of {tokens['of']:,} rows"
            q = tokens["quantiles"]
            lines.append(
                f"- {cell(column['name'], 30)}: tokens of {stats['tokens']} over {part}: median {q['0.5']:g}, 95% {q['0.95']:g}, most {tokens['max']:,}"
            )
    summary = f"{stats['dataset']}: {stats['rows']:,} rows, {len(stats['columns'])} columns. Lengths stand for texts (characters) and lists."
    return Result(summary, stats, table, body="\n".join(lines), opens=f"stats:{stats['dataset']}")


def number(value: Any) -> str:
    """A figure in a narrow place."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else cell(value, 25)


def _shares(values: list[dict[str, Any]]) -> str:
    shown = ", ".join(f"{cell(item['value'], 30)} {item['share']:.1%}" for item in values[:12])
    return shown + (f", and {len(values) - 12} more" if len(values) > 12 else "")


def _tokenizer_file(model: ModelRecord) -> Path:
    """The file of its tokenizer, or the GGUF that holds it. Raises ``ModelError``."""
    for file in (Path(model.folder or "/") / "tokenizer.json", Path(model.gguf or "/")):
        if file.is_file():
            return file
    raise ModelError(f"“{model.name}” has no tokenizer that can be read.", "Use smollm2 or minilm, or another model with a tokenizer.json.")


def _counter(model: ModelRecord) -> Callable[[list[str]], list[int]]:
    from tokenizers import Tokenizer

    file = _tokenizer_file(model)
    if file.name == "tokenizer.json":
        tokenizer = Tokenizer.from_file(str(file))
    else:
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True).backend_tokenizer
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"The tokenizer in {file.name} can't be read: {error}", "Use another model.") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda texts: [len(found.ids) for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
