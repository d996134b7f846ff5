"""stats: what is in a dataset's columns, over all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Work
from engine.commands.data.datasets import cell
from engine.models.tokens import counter, tokenizer_of
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.jobs.context import JobContext


class Stats(Work):
    """Statistics over all rows, or those of one split: types, empty and different values, quantiles, histograms, frequent
    values, lengths of texts, labels in each split, languages. Fields of structs are columns of their own (`a.b`); of
    conversations there are the turns, who speaks, the system prompts and the last answers.

    Computed once for a version of a dataset; asked again, they are there at once.
    Languages are guessed from about a thousand rows. From five million rows on, quantiles and the number of different values
    are estimates.
    """

    verb = "stats"
    effect = "compute"
    words = ("dataset",)
    completes = {"dataset": "datasets", "tokens": "models"}
    examples = ("stats tickets", "stats tickets --split test", "stats tickets --tokens smollm2")

    dataset: str = Field("", description="Which dataset (the one in use)")
    split: str = Field("", description="Only the rows of this split; those of all splits together otherwise")
    tokens: str = Field("", description="Count the tokens of texts too, as this model counts them")
    again: bool = Field(False, description="Compute them anew")

    def prepare(self, desk: Desk) -> Stats:
        from engine.commands.data.search import chosen
        from engine.data.rows import check_split

        if self.tokens:
            tokenizer_of(desk.workspace, self.tokens)
        record = chosen(desk, self.dataset)
        if self.split:
            check_split(record, self.split)
        return self.model_copy(update={"dataset": record.name})

    def ready(self, desk: Desk) -> Result | None:
        from engine.data.looking.stats import cached

        found = None if self.again else cached(desk.workspace.datasets.get(self.dataset), self.tokens, self.split)
        return told(found) if found else None

    def opens(self, job: str) -> str:  # noqa: ARG002
        return screen(self.dataset, self.split)

    def work(self, job: JobContext) -> Result:
        from engine.data.looking.stats import compute, forget

        record = job.workspace.datasets.get(self.dataset)
        if self.again:
            forget(record, self.split)
        count = counter(job.workspace, self.tokens).count if self.tokens else None
        return told(compute(job, record, self.tokens, count, self.split))


def screen(dataset: str, split: str) -> str:
    """What the statistics open."""
    return f"stats:{dataset}/{split}" if split else f"stats:{dataset}"


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
        if column["kind"] == "chat" and column.get("figures"):
            lines.append(f"- {cell(column['name'], 30)}: {_chat(stats, column)}")
        if spoken := column.get("language", {}).get("languages"):
            said = ", ".join(f"{item['language']} {item['count']:,}" for item in spoken[:5])
            lines.append(f"- {cell(column['name'], 30)}: languages of {column['language']['sample']:,} rows: {said}")
        if (tokens := column.get("tokens")) and tokens["rows"]:
            part = "all rows" if tokens["rows"] == tokens["of"] else f"{tokens['rows']:,} of {tokens['of']:,} rows"
            q = tokens["quantiles"]
            lines.append(
                f"- {cell(column['name'], 30)}: tokens of {stats['tokens']} over {part}: median {q['0.5']:g}, 95% {q['0.95']:g}, most {tokens['max']:,}"
            )
    if left := stats["parts_left_out"]:
        lines.append(f"- {left:,} more fields of structs were not measured.")
    own = [column for column in stats["columns"] if "part_of" not in column]
    splits = f" (all splits together: {', '.join(stats['splits'])})" if len(stats["splits"]) > 1 and not stats["split"] else ""
    place = f"{stats['dataset']}/{stats['split']}" if stats["split"] else stats["dataset"]
    summary = (
        f"{place}: {stats['rows']:,} rows{splits}, {len(own)} columns. Lengths stand for texts (characters), lists and conversations (messages)."
    )
    return Result(summary, stats, table, body="\n".join(lines), opens=screen(stats["dataset"], stats["split"]))


def _chat(stats: dict[str, Any], column: dict[str, Any]) -> str:
    """What is known of the conversations in a column, in a line."""
    part = {item["name"].removeprefix(f"{column['name']}."): item for item in stats["columns"] if item.get("part_of") == column["name"]}
    said = ", ".join(f"{cell(role['role'], 20)} {role['messages']:,}" for role in column["roles"][:6])
    told = [f"messages by role: {said}" if said else "nobody speaks"]
    if turns := part.get("turns", {}).get("figures"):
        told.append(f"turns {number(turns['mean'])} on average, at most {turns['max']:,}")
    if "system" in part:
        share = (stats["rows"] - part["system"]["nulls"]) / max(1, stats["rows"])
        told.append(f"{share:.1%} have a system prompt")
    if answers := part.get("last_answer", {}).get("figures"):
        told.append(f"last answer {answers['quantiles']['0.5']:g} characters (median), at most {answers['max']:,}")
    return "; ".join(told)


def number(value: Any) -> str:
    """A figure in a narrow place."""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else cell(value, 25)


def _shares(values: list[dict[str, Any]]) -> str:
    shown = ", ".join(f"{cell(item['value'], 30)} {item['share']:.1%}" for item in values[:12])
    return shown + (f", and {len(values) - 12} more" if len(values) > 12 else "")
