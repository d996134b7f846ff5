"""Rows that say which texts belong together: pairs, scored pairs, and triplets with a text that does not belong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import DataError

if TYPE_CHECKING:
    from engine.store.datasets import DatasetRecord

SHAPES = ("pair", "triplet")
ROLES = ("anchor", "positive", "negative", "score")
NAMES = (
    (("anchor", "query"), ("positive", "pos", "positive_passage", "passage", "document"), ("negative", "neg", "negative_passage", "hard_negative")),
    (("sentence1", "sentence_1", "sentence_a", "text1", "text_1", "text_a"), ("sentence2", "sentence_2", "sentence_b", "text2", "text_2", "text_b"), ()),
)  # fmt: skip
"""Names of an anchor, of what belongs to it and of what does not, that go together."""
SCORES = ("score", "similarity", "similarity_score", "relevance")
JUDGED = (*SCORES, "label", "labels", "gold_label", "is_duplicate")
"""Two sentences that are judged by one of these are another shape's: a number or a class of two texts."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a row holds. ``negative`` is empty where there is none, ``score`` None where nothing was judged."""

    anchor: str
    positive: str
    negative: str = ""
    score: float | None = None


def recognise(features: dict[str, str]) -> tuple[str, dict[str, str]] | None:
    """The shape and its columns, where the names say it."""
    by_name = {column.lower().strip(): column for column in reversed(features)}

    def first(names: tuple[str, ...], *kinds: str) -> str:
        return next((by_name[name] for name in names if name in by_name and any(kind in features[by_name[name]] for kind in kinds)), "")

    for anchors, positives, negatives in NAMES:
        anchor, positive, negative = (first(names, "string") for names in (anchors, positives, negatives))
        if anchor and positive and negative:
            return "triplet", {"anchor": anchor, "positive": positive, "negative": negative}
        if anchor and positive:
            if not negatives and first(JUDGED, ""):
                return None
            score = first(SCORES, "int", "float", "double", "bool")
            return "pair", {"anchor": anchor, "positive": positive, **({"score": score} if score else {})}
    return None


def corrected(features: dict[str, str], known: dict[str, str], given: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The shape with the columns that a person named; ``known`` are those that were recognised. Raises ``DataError``."""
    roles = {**{role: column for role, column in known.items() if role in ROLES and column not in given.values()}, **given}
    if not {"anchor", "positive"} <= set(roles):
        raise DataError(
            "A pair needs both an anchor and what belongs to it.", f"Give --anchor and --positive. The columns are: {', '.join(features)}."
        )
    if "negative" in roles:
        return "triplet", {role: roles[role] for role in ROLES if role in roles and role != "score"}
    return "pair", {role: roles[role] for role in ROLES if role in roles}


def of_row(record: DatasetRecord, row: dict[str, Any]) -> Pair | None:
    """The row as a pair; so are an instruction's prompt and completion, and two texts with a number. None where a text is missing."""
    columns = record.columns
    if record.shape == "instruction":
        prompt = "\n\n".join(part for part in (_text(row, columns.get("prompt")), _text(row, columns.get("input"))) if part)
        pair = Pair(prompt, _text(row, columns.get("completion")))
    elif record.shape == "regression":
        pair = Pair(_text(row, columns.get("text")), _text(row, columns.get("second")), score=_number(row.get(columns["score"])))
    else:
        pair = Pair(
            _text(row, columns.get("anchor")), _text(row, columns.get("positive")), _text(row, columns.get("negative")),
            _number(row.get(columns["score"])) if "score" in columns else None,
        )  # fmt: skip
    whole = pair.anchor and pair.positive and (pair.negative or record.shape != "triplet") and (pair.score is not None or "score" not in columns)
    return pair if whole else None


def as_text(record: DatasetRecord, row: dict[str, Any]) -> str:
    """The texts of a row, one a line."""
    found = (_text(row, record.columns.get(role)) for role in ("anchor", "positive", "negative"))
    return "\n".join(text for text in found if text)


def _text(row: dict[str, Any], column: str | None) -> str:
    value = row.get(column) if column else None
    return "" if value is None else str(value).strip()


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
