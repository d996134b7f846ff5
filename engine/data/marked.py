"""Rows that are marked by a person in more than one word: a tag for each word, several labels, a number, a second text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import DataError

if TYPE_CHECKING:
    from engine.store.datasets import DatasetRecord

SHAPES = ("tagging", "multilabel", "regression")
ROLES = ("tokens", "tags", "labels", "score")
TOKENS = ("tokens", "words", "token")
TAGS = ("ner_tags", "tags", "ner", "labels", "label", "entities", "iob", "bio", "pos_tags", "pos", "upos", "chunk_tags")
LABELS = ("labels", "label", "tags", "categories", "topics", "genres", "emotions", "classes")
SCORES = ("score", "rating", "stars", "target", "value", "label", "labels", "similarity", "similarity_score", "grade")
SECOND = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("sentence_a", "sentence_b"), ("text1", "text2"),
    ("text_1", "text_2"), ("text_a", "text_b"), ("question1", "question2"),
)  # fmt: skip
"""Names of two texts that are judged together."""
MARK = ("label", "labels", "desirable", "good", "liked", "accepted", "thumbs_up", "feedback")
"""Names of a column of yes and no that marks an answer."""
MARKS = {
    **dict.fromkeys(("true", "1", "1.0", "yes", "y", "good", "up", "+", "+1"), True), **dict.fromkeys(("false", "0", "0.0", "no", "n", "bad", "down", "-", "-1"), False),
}  # fmt: skip
"""What is read as good, and what as bad."""


def tagged(features: dict[str, str], sample: list[dict[str, Any]]) -> tuple[str, dict[str, str]] | None:
    """A list of words and a list of as many tags, where names and kinds of the columns say it."""
    tokens = next((c for c in _named(features, TOKENS) if features[c] == "list of string"), "")
    tags = next((c for c in _named(features, TAGS) if c != tokens and _is_list(features[c])), "")
    return (
        ("tagging", {"tokens": tokens, "tags": tags}) if tokens and tags and all(_level(row.get(tokens), row.get(tags)) for row in sample) else None
    )


def judged(features: dict[str, str], text: str) -> tuple[str, dict[str, str]] | None:
    """Several labels or a number of a text, or of two. ``text`` is the column of text, if any."""
    texts = two_texts(features) or ([text] if text else [])
    if not texts:
        return None
    roles = dict(zip(("text", "second"), texts, strict=False))
    if labels := next((c for c in _named(features, LABELS) if _is_list(features[c])), ""):
        return "multilabel", {**roles, "labels": labels}
    if score := next((c for c in _named(features, SCORES) if "float" in features[c] or features[c] == "double"), ""):
        return "regression", {**roles, "score": score}
    return None


def corrected(features: dict[str, str], known: dict[str, str], given: dict[str, str], text: str) -> tuple[str, dict[str, str]]:
    """The shape with the columns that a person named: ``tokens`` and ``tags``, ``labels``, or ``score``. Raises ``DataError``."""
    if "tokens" in given or "tags" in given:
        roles = {"tokens": given.get("tokens") or known.get("tokens", ""), "tags": given.get("tags") or known.get("tags", "")}
        for role, column in roles.items():
            if not column or not _is_list(features[column]):
                raise DataError(
                    "Tagging needs a column with a list of words and one with a list of tags.",
                    f"Name them with --tokens and --tags{f': “{column}” (--{role}) is no list' if column else ''}. {_told(features)}",
                )
        return "tagging", roles
    role = "labels" if "labels" in given else "score"
    column = given[role]
    first = given.get("text") or known.get("text") or (text if text != column else "")
    if not first:
        raise DataError(f"There is no column of text to go with --{role}.", f"Name one with --text. {_told(features)}")
    if role == "labels" and not _is_list(features[column]):
        raise DataError(f"“{column}” (--labels) is no list.", f"One label a row is --label {column}. {_told(features)}")
    if role == "score" and not _is_number(features[column]):
        raise DataError(f"“{column}” (--score) holds no numbers.", f"Make it one: cast NAME {column} float. {_told(features)}")
    second = given.get("second") or partner(features, first)
    return ("multilabel" if role == "labels" else "regression"), {"text": first, **({"second": second} if second else {}), role: column}


def two_texts(features: dict[str, str]) -> list[str]:
    """The columns of two texts that are judged together, if their names say so."""
    by_name = {column.lower().strip(): column for column in features if features[column] == "string"}
    return next(([by_name[first], by_name[second]] for first, second in SECOND if first in by_name and second in by_name), [])


def partner(features: dict[str, str], first: str) -> str:
    """The second text that goes with the column ``first``; empty where there is none."""
    both = two_texts(features)
    return both[1] if both and both[0] == first else ""


def words_of(record: DatasetRecord, row: dict[str, Any]) -> list[str]:
    """The words of a row to be tagged."""
    return ["" if word is None else str(word) for word in row.get(record.columns["tokens"]) or []]


def tags_of(record: DatasetRecord, row: dict[str, Any]) -> list[str]:
    return ["" if tag is None else str(tag) for tag in row.get(record.columns["tags"]) or []]


def labels_of(record: DatasetRecord, row: dict[str, Any]) -> list[str] | None:
    """The labels of a row, each once, in order; ``None`` where the row says nothing (an empty list says: none fits)."""
    found = row.get(record.columns["labels"])
    return None if found is None else sorted({str(label) for label in found if label not in (None, "")})


def number_of(record: DatasetRecord, row: dict[str, Any]) -> float | None:
    """The finite number of a row, or ``None``. ``score`` is a role of scored pairs too."""
    import math

    try:
        found = float(row.get(record.columns["score"]))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def texts_of(record: DatasetRecord, row: dict[str, Any]) -> tuple[str, ...] | None:
    """The text of a row, or its two texts; ``None`` where one of them is missing. A scored pair has an anchor and another."""
    columns = record.columns
    roles = ("anchor", "positive") if "anchor" in columns else ("text", "second")
    found = tuple(str(row.get(columns[role]) or "").strip() for role in roles if role in columns)
    return found if found and all(found) else None


def as_text(record: DatasetRecord, row: dict[str, Any]) -> str:
    """The row as words, without what it is marked with."""
    return " ".join(words_of(record, row)) if record.shape == "tagging" else "\n".join(texts_of(record, row) or ())


def _level(words: Any, tags: Any) -> bool:
    """Whether there is a tag for each word; rows with neither do not count against it."""
    return len(words or []) == len(tags or []) and not any(isinstance(tag, (list, dict)) for tag in tags or [])


def _named(features: dict[str, str], names: tuple[str, ...]) -> list[str]:
    by_name = {column.lower().strip(): column for column in reversed(features)}
    return [by_name[name] for name in names if name in by_name]


def _is_list(kind: str) -> bool:
    return kind in ("list of string", "list of bool") or kind.startswith("list of int") or kind.startswith("list of uint")


def _is_number(kind: str) -> bool:
    return "int" in kind or "float" in kind or kind in ("double", "bool")


def _told(features: dict[str, str]) -> str:
    return f"The columns are: {', '.join(f'{name} ({kind})' for name, kind in features.items())}."
