"""Questions with options to choose from, in the spellings that are about. Light: Commands read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.store.datasets import DatasetRecord

ASKS = ("question", "query", "question_text", "stem", "goal", "problem", "input", "prompt")
BEGINS = ("ctx", "sentence", "premise", "context", "text")
"""Columns whose text is not asked about but gone on with."""
PASSAGE = ("article", "passage", "context", "background", "support")
OPTIONS = ("choices", "options", "endings", "candidates", "answers", "alternatives")
ANSWER = (
    "answerkey",
    "answer_key",
    "answer",
    "label",
    "answer_idx",
    "answer_index",
    "gold",
    "correct",
    "correct_answer",
    "cop",
    "target",
    "correct_option",
)
ROLES = ("question", "options", "answer")
# One column an option: option_a, ending0, choice1, or just A.
_NUMBERED = re.compile(r"(option|opt|op|choice|ending|sol|answer|candidate)[_ ]?(\d|[a-j])|()([a-j])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Columns:
    """``options`` is one column that holds all of them, or one column for each; ``passage`` may be empty."""

    question: str
    options: tuple[str, ...]
    answer: str
    passage: str = ""

    @property
    def begins(self) -> bool:
        """Whether an option goes on with the text, rather than answering it."""
        return self.question.lower() in BEGINS


@dataclass(frozen=True, slots=True)
class Question:
    """``prompt`` and what may follow it; ``ends`` are the options as they stand in the text; ``right`` is a place."""

    prompt: str
    options: list[str]
    ends: list[str]
    right: int


def columns_of(dataset: DatasetRecord, given: dict[str, str] | None = None) -> Columns | None:
    """Which columns hold the question, its options and the answer; ``None`` where they are not found.

    ``given`` maps ``ROLES`` to a column's name (``options``: several, with commas). Raises ``DataError`` for one that is
    not there.
    """
    features, given = dataset.features, {role: name for role, name in (given or {}).items() if role in ROLES and name}
    named = {role: [part.strip() for part in name.split(",")] if role == "options" else [name] for role, name in given.items()}
    for role, columns in named.items():
        for column in columns:
            if column not in features:
                raise DataError(
                    f"There is no column “{column}” (--{role}) in {dataset.name}.",
                    f"{did_you_mean(column, features)} Its columns are: {', '.join(features)}.".strip(),
                )
    options = tuple(named["options"]) if "options" in named else _options(features)
    taken = set(options)
    answer = named["answer"][0] if "answer" in named else _first(features, ANSWER, taken)
    taken.add(answer)
    question = named["question"][0] if "question" in named else _first(features, ASKS, taken) or _first(features, BEGINS, taken)
    if not (options and answer and question):
        return None
    return Columns(question, options, answer, _first(features, PASSAGE, {*taken, question}))


def recognised(dataset: DatasetRecord) -> bool:
    return columns_of(dataset) is not None


class Reader:
    """Rows as questions. Whether numbers of answers begin at 0 or at 1 is found out from all of them."""

    def __init__(self, columns: Columns, answers: Sequence[Any]) -> None:
        self.columns = columns
        numbers = {int(str(value)) for value in answers if str(value).lstrip("-").isdigit()}
        self._first = 1 if numbers and min(numbers) >= 1 else 0

    def read(self, row: dict[str, Any]) -> Question | None:
        """The row's question; ``None`` where it has no text, fewer than two options, or an answer that is none of them."""
        text = _text(row.get(self.columns.question))
        options, names = self._options(row)
        right = self._right(row.get(self.columns.answer), options, names)
        if not text or len(options) < 2 or not all(options) or right is None:
            return None
        if self.columns.begins:
            return Question(text, options, [f" {option}" for option in options], right)
        passage = _text(row.get(self.columns.passage)) if self.columns.passage else ""
        prompt = f"{passage}\n\nQuestion: {text}\nAnswer:" if passage else f"Question: {text}\nAnswer:"
        return Question(prompt, options, [f" {option}" for option in options], right)

    def _options(self, row: dict[str, Any]) -> tuple[list[str], list[str]]:
        """Options, and what the row calls them (empty where it does not)."""
        if len(self.columns.options) > 1:
            return [_text(row.get(column)) for column in self.columns.options], []
        value = row.get(self.columns.options[0])
        if isinstance(value, dict):
            texts = value.get("text") or value.get("texts") or value.get("choices") or []
            return [_text(text) for text in texts], [_text(label) for label in value.get("label") or value.get("labels") or []]
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return [_text(item.get("text")) for item in value], [_text(item.get("label")) for item in value]
        return [_text(item) for item in value] if isinstance(value, list) else [], []

    def _right(self, answer: Any, options: list[str], names: list[str]) -> int | None:
        said = _text(answer)
        if said and said in names:
            return names.index(said)
        if said.lstrip("-").isdigit():
            at = int(said) - self._first
        elif len(said) == 1 and said.isalpha() and said not in options:
            at = ord(said.upper()) - ord("A")
        else:
            at = options.index(said) if said in options else -1
        return at if 0 <= at < len(options) else None


def _options(features: dict[str, str]) -> tuple[str, ...]:
    """The column of options, or a column for each."""
    for column in (name for wanted in OPTIONS for name in features if name.lower() == wanted):
        if features[column].startswith(("list", "struct")):
            return (column,)
    found: dict[str, dict[str, str]] = {}
    for column, kind in features.items():
        if kind == "string" and (match := _NUMBERED.fullmatch(column)):
            family, sign = (match[1], match[2]) if match[1] else ("", match[4])
            found.setdefault(family.lower(), {})[sign.lower()] = column
    for signs in found.values():
        order = sorted(signs)
        if len(order) > 1 and order[0] in ("0", "1", "a") and [ord(sign) - ord(order[0]) for sign in order] == list(range(len(order))):
            return tuple(signs[sign] for sign in order)
    return ()


def _first(features: dict[str, str], names: tuple[str, ...], taken: set[str]) -> str:
    by_name = {column.lower(): column for column in reversed(features) if column not in taken}
    return next((by_name[name] for name in names if name in by_name and not features[by_name[name]].startswith(("list", "struct"))), "")


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
