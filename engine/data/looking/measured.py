"""What is measured of a dataset: its columns, the fields of structs, and what is in conversations, each as SQL over its table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data.shape import ROLES
from engine.data.sql import ROW, SPLIT, quoted, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.data.sql import Sql
    from engine.jobs.context import JobContext

PARTS, DEEPEST = 200, 5
"""Fields of structs that are measured in all, and how deep they may lie; how many more there are is told."""
MOST_ROLES = 20

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE")
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
_ANSWERS = sorted({"assistant", *(name for name, role in ROLES.items() if role == "assistant")})
_PERSONS = sorted({"user", *(name for name, role in ROLES.items() if role == "user")})
_SYSTEM = ["developer", "system"]


def columns(sql: Sql, table: str) -> tuple[list[dict[str, Any]], int]:
    """The columns of ``table``, each followed by its parts, and how many parts were left out.

    A column is ``{name, type, kind, sql, of, value}``: ``sql`` is its value, ``of`` the number that its quantiles and its
    histogram are of (empty where there is none), ``value`` what is counted as a number. A part says whose it is: ``part_of``.
    """
    found: list[dict[str, Any]] = []
    left = PARTS
    out = 0
    for name, kind in sql.types(table):
        if name in (SPLIT, ROW):
            continue
        found.append(_column(name, quoted(name), kind))
        for part in _parts(name, quoted(name), kind, 1):
            if left:
                found.append({**part, "part_of": name})
                left -= 1
            else:
                out += 1
    return found, out


def number_of(column: dict[str, Any]) -> str:
    """The number that is measured, as SQL: a column's value, or its length."""
    return str(column["value"] if column["kind"] == "number" else column["of"])


def _column(name: str, of: str, kind: Any) -> dict[str, Any]:
    said = str(kind)
    base = said.partition("(")[0]
    column: dict[str, Any] = {"name": name, "type": said, "kind": "other", "sql": of, "of": "", "value": of}
    if said.endswith("]"):
        chat = _messages(kind)
        return {**column, "of": f"len({of})", **({"kind": "chat", "by": chat[0]} if chat else {"kind": "list"})}
    if base in _NUMBERS or base == "DECIMAL":
        # Not-a-number and infinities are counted apart: they would spoil every figure.
        value = f"(CASE WHEN isfinite({of}) THEN {of} END)" if base in ("FLOAT", "DOUBLE") else of
        return {**column, "kind": "number", "of": of, "value": value}
    if base in _TIMES:
        return {**column, "kind": "time", "of": f"epoch({of})"}
    if base in ("VARCHAR", "JSON"):
        return {**column, "kind": "string", "of": f"length({of})"}
    if base == "BLOB":
        return {**column, "kind": "bytes", "of": f"octet_length({of})"}
    if base == "BOOLEAN":
        return {**column, "kind": "boolean"}
    if base == "STRUCT":
        media = any(field == "bytes" and str(inner) == "BLOB" for field, inner in kind.children)
        return {**column, "kind": "bytes", "of": f"octet_length({_field(of, 'bytes')})"} if media else {**column, "kind": "struct"}
    return column


def _parts(name: str, of: str, kind: Any, depth: int) -> Iterator[dict[str, Any]]:
    """The fields of a struct, and theirs; what is asked of a conversation."""
    column = _column(name, of, kind)
    if column["kind"] == "struct" and depth <= DEEPEST:
        for field, inner in kind.children:
            yield _column(f"{name}.{field}", _field(of, field), inner)
            yield from _parts(f"{name}.{field}", _field(of, field), inner, depth + 1)
    elif column["kind"] == "chat":
        role, content = _messages(kind)
        said = _content("x", *content)
        turns = f"len({_by(of, role, _PERSONS)})"
        yield {"name": f"{name}.turns", "type": "BIGINT", "kind": "number", "sql": turns, "of": turns, "value": turns}
        for part, roles, place in (("system", _SYSTEM, 1), ("last_answer", _ANSWERS, -1)):
            value = f"list_transform({_by(of, role, roles)}, lambda x: {said})[{place}]"
            yield {"name": f"{name}.{part}", "type": "VARCHAR", "kind": "string", "sql": value, "of": f"length({value})", "value": value}


def _field(of: str, field: str) -> str:
    return f"struct_extract({of}, {text(field)})"


def _messages(kind: Any) -> Any:
    """The fields of messages that name who speaks and what is said, the second with its type; nothing for another list."""
    inner = dict(kind.children).get("child") if kind.id == "list" else None
    if inner is None or inner.id != "struct":
        return ()
    fields = dict(inner.children)
    for role, content in (("role", "content"), ("from", "value")):
        if role in fields and content in fields and str(fields[role]) == "VARCHAR":
            return role, (content, fields[content])
    return ()


def _by(of: str, role: str, roles: list[str]) -> str:
    """The messages of those who have one of ``roles``."""
    return f"list_filter({of}, lambda x: lower({_field('x', role)}) IN ({', '.join(map(text, roles))}))"


def _content(of: str, field: str, kind: Any) -> str:
    """What a message says, as text: plain, as JSON, or in typed parts."""
    value = _field(of, field)
    if str(kind) == "VARCHAR":
        return value
    if str(kind) == "JSON":
        return f"({value} ->> '$')"
    if kind.id == "list" and (part := dict(kind.children)["child"]).id == "struct" and "text" in dict(part.children):
        return f"array_to_string(list_transform({value}, lambda y: {_field('y', 'text')}), '')"
    return f"{value}::VARCHAR"


def roles(job: JobContext, sql: Sql, table: str, column: dict[str, Any]) -> list[dict[str, Any]]:
    """Who speaks in the conversations of a column: ``{role, messages, rows, where}``, the most frequent first; ``where``
    selects the rows in which that role speaks. Raises ``Stopped``."""
    said = f"list_transform({column['sql']}, lambda x: lower({_field('x', column['by'])}))"
    counted = []
    for of in (said, f"list_distinct({said})"):
        statement = f"SELECT r, count(*) AS n FROM (SELECT unnest({of}) AS r FROM {table}) WHERE r IS NOT NULL GROUP BY r ORDER BY n DESC, r"
        counted.append({item["r"]: item["n"] for item in sql.table(statement, cancel=job.token).to_pylist()})
    messages, rows = counted
    return [
        {"role": name, "messages": count, "rows": rows[name], "where": f"list_contains({said}, {text(name)})"}
        for name, count in list(messages.items())[:MOST_ROLES]
    ]
