"""Statistics as a person reads them: figures in words, and bars that each know which rows they count."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

KIND = {"text": "characters", "string": "characters", "list": "items", "bytes": "bytes", "chat": "messages"}
"""What a length counts."""


@dataclass(frozen=True, slots=True)
class Bar:
    """``where`` selects the rows that are counted; empty where no condition can."""

    label: str
    count: int
    where: str = ""


@dataclass(slots=True)
class StatsView:
    """``data`` is what the engine answers; empty until it is there. ``job`` computes it; ``note`` is how far it is.
    ``split`` is the one they are of; empty for all together."""

    dataset: str
    split: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    job: str = ""
    note: str = ""

    @property
    def columns(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.data.get("columns", [])
        return found

    @property
    def told(self) -> str:
        """How many rows of which splits these are."""
        if not self.data:
            return ""
        splits = self.data["splits"]
        which = f" of {self.split}" if self.split else f" of all splits: {', '.join(splits)}" if len(splits) > 1 else ""
        return f"{self.data['rows']:,} rows{which}"

    def next_split(self, splits: list[str]) -> str:
        """The split after this one; all together before the first."""
        every = ["", *splits]
        return every[(every.index(self.split) + 1) % len(every)] if self.split in every else ""

    def figures(self, number: int) -> list[tuple[str, str]]:
        """The figures of a column, each with its name."""
        column = self.columns[number]
        rows = self.data["rows"]
        found = [("type", f"{column['kind']}, {column['type']}"), ("empty", _share(column["nulls"], rows))]
        if "distinct" in column:
            about = "about " if column["distinct_approximate"] else ""
            found.append(("different", about + _share(column["distinct"], rows)))
        if figures := column.get("figures"):
            unit = f" {KIND[column['kind']]}" if column["kind"] in KIND else ""
            if column["kind"] == "time":
                found += [("first", figures["first"]), ("last", figures["last"])]
            else:
                found += [("least", _told(figures["min"]) + unit), ("mean", _told(figures["mean"]) + unit), ("most", _told(figures["max"]) + unit)]
                if figures["std"] is not None:
                    found.append(("deviation", _told(figures["std"])))
            at = figures["quantiles"]
            told = _moment if column["kind"] == "time" else _told
            about = " (estimated)" if figures["approximate"] else ""
            found.append(("quantiles", ", ".join(f"{float(name):.0%} {told(value)}" for name, value in at.items()) + about))
            if odd := figures.get("not_finite"):
                found.append(("no number", f"{odd:,} are infinite or not a number"))
        if tokens := column.get("tokens"):
            found.append(("tokens", _tokens(tokens, self.data["tokens"])))
        if people := column.get("roles"):
            found.append(("messages by", ", ".join(f"{item['role']} {item['messages']:,}" for item in people)))
        if spoken := column.get("language", {}).get("languages"):
            said = ", ".join(f"{item['language']} {item['count']:,}" for item in spoken[:6])
            found.append(("languages", f"{said} (guessed from {column['language']['sample']:,} rows)"))
        return found

    def bars(self, number: int) -> list[tuple[str, list[Bar]]]:
        """The bars of a column, under a heading each."""
        column = self.columns[number]
        found: list[tuple[str, list[Bar]]] = []
        top = [("Most frequent values", [_value(column, item) for item in column["top"]])] if column.get("top") else []
        few = column.get("distinct", 0) <= len(column.get("top", ()))
        if few:  # then they are all that there is to know
            found += top
        if histogram := column.get("histogram"):
            heading = f"Length in {KIND[column['kind']]}" if column["kind"] in KIND else "Values"
            found.append((heading, _bins(column, histogram)))
        if not few:
            found += top
        if people := column.get("roles"):
            found.append(("Conversations in which there speaks", [Bar(item["role"], item["rows"], item["where"]) for item in people]))
        if tokens := column.get("tokens", {}).get("histogram"):
            edges = pairwise(tokens["edges"])
            found.append(
                (
                    f"Tokens of {self.data['tokens']}",
                    [Bar(f"{low + 1:,} – {high:,}", n) for (low, high), n in zip(edges, tokens["counts"], strict=True)],
                )
            )
        if column["nulls"]:
            found.append(("Empty", [Bar("empty", column["nulls"], f"{column['sql']} IS NULL")]))
        if column["name"] == self.data.get("balance", {}).get("column"):
            found += self._balance()
        return found

    def _balance(self) -> list[tuple[str, list[Bar]]]:
        splits = self.data["balance"]["splits"]
        if len(splits) < 2:
            return []
        return [
            (f"In {split}", [Bar(f"{item['value']} {item['share']:.1%}", item["count"]) for item in values[:20]]) for split, values in splits.items()
        ]


def drawn(count: int, most: int, width: int) -> str:
    """A bar in eighths of a cell; something is always seen of what is more than nothing."""
    eighths = max(1, round(count / most * width * 8)) if count and most else 0
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def _bins(column: dict[str, Any], histogram: dict[str, Any]) -> list[Bar]:
    of, figures = column["of"], column["figures"]
    day = 86400 if column["type"] == "DATE" else 0
    found = []
    for (low, high), count in zip(pairwise(histogram["edges"]), histogram["counts"], strict=True):
        if column["kind"] == "time":
            least, most = low + day, min(high, figures["max"]) if day else high
            label = _moment(most) if day and least >= most else f"{_moment(least)} – {_moment(most)}"
        elif isinstance(low, int) and isinstance(high, int):
            least, most = max(low + 1, figures["min"]), min(high, figures["max"])
            label = f"{least:,}" if least >= most else f"{least:,} – {most:,}"
        else:
            label = f"{low:,.10g} – {high:,.10g}"
        found.append(Bar(label, count, f"{of} {'>=' if low == histogram['edges'][0] == figures['min'] else '>'} {low!r} AND {of} <= {high!r}"))
    return found


def _value(column: dict[str, Any], item: dict[str, Any]) -> Bar:
    name, value = column["sql"], item["value"]
    # A text in quotes takes the type of the column that it is compared with.
    said = str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, (int, float)) else "'" + value.replace("'", "''") + "'"
    where = f"starts_with({name}, {said})" if item.get("cut") else f"{name} = {said}"
    return Bar("“”" if value == "" else str(value), item["count"], where)


def _share(count: int, rows: int) -> str:
    return f"{count:,} ({count / rows:.1%})" if count and rows else "none"


def _told(value: float) -> str:
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.1f}"
    return f"{int(value):,}" if abs(value) < 1e15 else f"{value:.6g}"


def _moment(seconds: float) -> str:
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s"
    return at.strftime("%Y-%m-%d" if seconds % 86400 == 0 else "%Y-%m-%d %H:%M")


def _tokens(tokens: dict[str, Any], model: str) -> str:
    if not tokens["rows"]:
        return "none"
    part = "all rows" if tokens["rows"] == tokens["of"] else f"{tokens['rows']:,} rows"
    at = tokens["quantiles"]
    return f"median {at['0.5']:g}, 95% {at['0.95']:g}, most {tokens['max']:,}, all together {tokens['total']:,} (of {model}, {part})"
