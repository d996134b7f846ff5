"""What the SQL editor knows: words to complete, what to colour, and the queries of before."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

KEYWORDS = (
    "SELECT", "FROM", "WHERE", "GROUP", "BY", "ORDER", "LIMIT", "HAVING", "AS", "AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "ILIKE",
    "BETWEEN", "DISTINCT", "JOIN", "LEFT", "RIGHT", "INNER", "FULL", "OUTER", "CROSS", "ON", "USING", "UNION", "ALL", "EXCEPT", "INTERSECT",
    "WITH", "CASE", "WHEN", "THEN", "ELSE", "END", "DESC", "ASC", "NULLS", "FIRST", "LAST", "OFFSET", "FILTER", "OVER", "PARTITION",
    "QUALIFY", "SAMPLE", "EXISTS", "CAST", "TRUE", "FALSE", "VALUES", "EXCLUDE", "REPLACE", "SUMMARIZE", "DESCRIBE", "UNNEST",
)  # fmt: skip
FUNCTIONS = (
    "count", "sum", "avg", "min", "max", "median", "quantile_cont", "stddev", "mode", "any_value", "string_agg", "list",
    "approx_count_distinct", "length", "lower", "upper", "trim", "replace", "substr", "contains", "starts_with", "regexp_matches",
    "regexp_extract", "split_part", "concat", "coalesce", "round", "abs", "floor", "ceil", "greatest", "least", "len", "list_contains",
    "json_extract", "strftime", "date_trunc", "row_number", "rank", "lag", "lead", "hash", "random",
)  # fmt: skip
_PIECES = re.compile(
    r"(?P<comment>--.*)|(?P<string>'(?:[^']|'')*'?)|(?P<name>\"[^\"]*\"?)|(?P<number>\b\d[\d._]*(?:e[+-]?\d+)?\b)|(?P<word>[A-Za-z_]\w*)", re.I
)
_LAST = re.compile(r"(?:(?P<table>\"[^\"]+\"|\w+)\.)?(?P<start>\w*)$")
KEPT = 100


def pieces(line: str) -> list[tuple[int, int, str]]:
    """The parts of a line that have a colour: where each stands, and what it is (keyword, function, string, number, comment)."""
    found = []
    for piece in _PIECES.finditer(line):
        kind = piece.lastgroup or ""
        if kind == "word":
            word = piece.group()
            called = line[piece.end() :].lstrip().startswith("(")
            kind = "keyword" if word.upper() in KEYWORDS else "function" if called else ""
        if kind and kind != "name":
            found.append((piece.start(), piece.end(), kind))
    return found


def plain_name(name: str, *, table: bool = False) -> str:
    """A name as a query writes it: a table's dashes become underscores, anything else odd stands in quotes."""
    if re.fullmatch(r"[A-Za-z_]\w*", name) and name.upper() not in KEYWORDS:
        return name
    if table and re.fullmatch(r"[A-Za-z_]\w*", under := re.sub(r"\W", "_", name)):
        return under
    return '"' + name.replace('"', '""') + '"'


@dataclass(slots=True)
class Vocabulary:
    """``tables`` maps a dataset to its columns with their types, ``splits`` to its splits."""

    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    splits: dict[str, list[str]] = field(default_factory=dict)

    def complete(self, before: str) -> list[tuple[str, str]]:
        """What the word that ends ``before`` may become, each with what it is: names of the query's tables first."""
        last = _LAST.search(before)
        if last is None or _inside(before):
            return []
        start, owner = last["start"].lower(), (last["table"] or "").strip('"')
        if owner:
            table = next((name for name in self.tables if owner in (name, re.sub(r"\W", "_", name))), "")
            found = [(split, "split") for split in self.splits.get(table, [])] + list(self.tables.get(table, {}).items())
            return [(plain_name(name), kind) for name, kind in found if name.lower().startswith(start)]
        if not start:
            return []
        named = [name for name in self.tables if name in before or re.sub(r"\W", "_", name) in before]
        columns = {column: kind for name in (named or self.tables) for column, kind in self.tables[name].items()}
        words = [
            *((plain_name(name), kind) for name, kind in columns.items()),
            *((plain_name(name, table=True), "dataset") for name in self.tables),
            *((word, "") for word in KEYWORDS),
            *((f"{word}(", "function") for word in FUNCTIONS),
        ]
        found = [(word, kind) for word, kind in words if word.strip('"').lower().startswith(start)]
        return [] if any(word.lower() == start for word, _ in found) else found[:50]


def _inside(text: str) -> bool:
    """Whether the end of ``text`` stands in a text or a remark."""
    line = text.rpartition("\n")[2]
    return re.sub(r"--.*", "", text).count("'") % 2 == 1 or "--" in re.sub(r"'[^']*'", "", line)


@dataclass(slots=True)
class History:
    """Queries that were run, oldest first; the place in them, and what was being written."""

    queries: list[str] = field(default_factory=list)
    at: int = 0
    draft: str = ""

    def add(self, query: str) -> None:
        self.queries = [*(old for old in self.queries if old != query), query][-KEPT:]
        self.at = len(self.queries)

    def move(self, by: int, now: str) -> str | None:
        """The query before or after; what was being written comes back at the end. ``None`` where there is no more."""
        if self.at == len(self.queries):
            self.draft = now
        if not 0 <= self.at + by <= len(self.queries):
            return None
        self.at += by
        return self.draft if self.at == len(self.queries) else self.queries[self.at]
