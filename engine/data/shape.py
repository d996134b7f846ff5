"""What a dataset's rows are for: conversations, instructions, labelled texts, pairs, plain texts, pictures, sounds, or just a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.data import marked, pairs
from engine.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from engine.store.datasets import DatasetRecord

LABELLED = ("classification", "image", "audio")
"""Shapes whose label says how a test split is drawn."""
LONG = 12.0
"""Characters on average: a column of shorter values is taken for text only by its name, or beside a label."""
HOLDS = {
    "text": "plain text",
    "feedback": "answers marked good or bad",
    "tagging": "tagged words",
    "multilabel": "texts with labels",
    "regression": "texts with numbers",
    "pair": "pairs of texts",
    "triplet": "triplets of texts",
    "image": "pictures",
    "audio": "sounds",
}
MESSAGES = ("messages", "conversations", "conversation", "chat", "dialogue", "dialog")
PROMPT = ("instruction", "prompt", "question", "query", "request")
INPUT = ("input", "context", "inputs")
COMPLETION = ("output", "completion", "response", "answer", "chosen", "target", "reply")
LABEL = ("label", "labels", "class", "category", "intent", "sentiment", "label_text", "topic", "emotion")
TEXT = (
    "text",
    "sentence",
    "content",
    "body",
    "document",
    "passage",
    "utterance",
    "review",
    "comment",
    "message",
    "context",
    "tweet",
    "question",
    "title",
)
ROLES = {"human": "user", "user": "user", "gpt": "assistant", "bot": "assistant", "chatgpt": "assistant", "model": "assistant", "function_call": "assistant",
         "observation": "tool", "function": "tool"}  # fmt: skip


def recognise(features: dict[str, str], sample: list[dict[str, Any]]) -> tuple[str, dict[str, str]]:
    """The shape that the columns' names and a sample of their values suggest, and which column plays which role."""
    for kind in ("image", "audio"):
        if media := next((column for column, found in features.items() if found == kind), None):
            label = next((c for c in _named(features, LABEL) if _is_label(features[c])), None)
            return kind, {kind: media, **({"label": label} if label else {})}
    for column in _named(features, MESSAGES):
        if any(_messages(row.get(column)) for row in sample):
            return "conversation", {"messages": column}
    answers = {role: next(iter(_named(features, (role,))), "") for role in ("chosen", "rejected")}
    if all(column and _speaks(column, features, sample) for column in answers.values()):
        asked = next((c for c in _named(features, PROMPT) if _speaks(c, features, sample)), None)
        return "preference", {**({"prompt": asked} if asked else {}), **answers}
    if found := marked.tagged(features, sample) or pairs.recognise(features):
        return found
    prompt = next((c for c in _named(features, PROMPT) if _speaks(c, features, sample)), None)
    completion = next((c for c in _named(features, COMPLETION) if c != prompt and _speaks(c, features, sample)), None)
    if prompt and completion:
        if mark := next((c for c in _named(features, marked.MARK) if features[c] == "bool"), None):
            return "feedback", {"prompt": prompt, "completion": completion, "label": mark}
        extra = next((c for c in _named(features, INPUT) if c not in (prompt, completion) and _is_text(features[c])), None)
        return "instruction", {"prompt": prompt, **({"input": extra} if extra else {}), "completion": completion}
    label = next((c for c in _named(features, LABEL) if _is_label(features[c])), None)
    if not label and (found := marked.judged(features, _text_column(features, sample, least=0) or "")):
        return found
    label = label or _label_by_values(features, sample)
    text = _text_column({c: kind for c, kind in features.items() if c != label}, sample, least=0 if label else LONG)
    if label and (both := marked.two_texts(features)):
        return "classification", {"text": both[0], "second": both[1], "label": label}
    if label and text:
        return "classification", {"text": text, "label": label}
    text = text or _text_column(features, sample)
    return ("text", {"text": text}) if text else ("table", {})


def corrected(features: dict[str, str], sample: list[dict[str, Any]], given: dict[str, str]) -> tuple[str, dict[str, str]]:
    """:func:`recognise`, but with the columns that a person named for ``text``, ``label``, ``prompt``, ``completion``.

    Raises ``DataError`` for a column that is not there, or roles that make no shape.
    """
    for role, column in given.items():
        if column not in features:
            hint = did_you_mean(column, features)
            raise DataError(f"There is no column “{column}” (--{role}).", f"{hint} Its columns are: {', '.join(features)}.".strip())
    shape, columns = recognise(features, sample)
    if not given:
        return shape, columns
    if given.keys() & {"anchor", "positive", "negative"} or (shape in pairs.SHAPES and set(given) == {"score"}):
        return pairs.corrected(features, columns, {role: column for role, column in given.items() if role in pairs.ROLES})
    if given.keys() & set(marked.ROLES):
        return marked.corrected(features, columns, given, _text_column(features, sample, least=0) or "")
    if "prompt" in given or "completion" in given:
        known = {role: column for role, column in columns.items() if role in ("prompt", "input", "completion")} | given
        roles: dict[str, str] = {role: known[role] for role in ("prompt", "input", "completion", "label") if role in known}
        if not {"prompt", "completion"} <= set(roles):
            raise DataError(
                "An instruction needs both a prompt and a completion.", f"Give --prompt and --completion. The columns are: {', '.join(features)}."
            )
        found = {role: column for role, column in roles.items() if role != "input" or column not in given.values()}
        return ("feedback" if "label" in found else "instruction"), found
    if "label" in given:
        text = given.get("text") or _text_column({c: kind for c, kind in features.items() if c != given["label"]}, sample, least=0)
        if not text:
            raise DataError("There is no column of text to go with the label.", f"Name one with --text. The columns are: {', '.join(features)}.")
        second = given.get("second") or marked.partner(features, text)
        return "classification", {"text": text, **({"second": second} if second else {}), "label": given["label"]}
    if "text" not in given:
        raise DataError("A second text needs a first one.", f"Name it with --text. The columns are: {', '.join(features)}.")
    label = columns.get("label") or next((c for c in _named(features, LABEL) if _is_label(features[c])), given["text"])
    if label != given["text"]:
        return "classification", {"text": given["text"], "label": label}
    return "text", {"text": given["text"]}


def as_messages(record: DatasetRecord, row: dict[str, Any]) -> list[dict[str, str]]:
    """The row as a chat whose last message is the assistant's. Raises ``DataError`` when it has no such thing."""
    columns = record.columns
    if record.shape == "conversation":
        return _finished(_messages(row.get(columns["messages"])), record)
    if record.shape == "instruction":
        opening = _messages(row.get(columns["prompt"])) or [{"role": "user", "content": _prompt(row, columns)}]
        answer = row.get(columns["completion"])
        return _finished(opening + (_messages(answer) or [{"role": "assistant", "content": _text(answer)}]), record)
    if record.shape == "preference":
        prompt, chosen, _ = as_preference(record, row)
        return [*prompt, {"role": "assistant", "content": chosen}]
    if record.shape == "classification":
        chat = [{"role": "user", "content": as_text(record, row)}, {"role": "assistant", "content": _text(row.get(columns["label"]))}]
        return _finished(chat, record)
    raise DataError(
        f"{record.name} holds {HOLDS.get(record.shape, 'a table')}: there is no answer in a row to learn.",
        f"Name the columns when you add it: --prompt and --completion, or --text and --label. It has {', '.join(record.features)}.",
    )


def as_preference(record: DatasetRecord, row: dict[str, Any]) -> tuple[list[dict[str, str]], str, str]:
    """``(prompt, chosen, rejected)`` of a preference: the messages before the answers, and the two answers.

    The prompt is a column of its own, or what both conversations begin with. Raises ``DataError`` for a row without them.
    """
    columns = record.columns
    chosen, rejected = (_messages(row.get(columns[role])) or _answer(row.get(columns[role])) for role in ("chosen", "rejected"))
    asked = row.get(columns["prompt"]) if "prompt" in columns else None
    opening = _messages(asked) or ([{"role": "user", "content": _text(asked)}] if asked else []) or chosen[:-1]
    last = [messages[-1] for messages in (chosen, rejected) if messages and messages[-1]["role"] == "assistant" and messages[-1]["content"]]
    if len(last) < 2 or not opening or (not asked and chosen[:-1] != rejected[:-1]):
        raise DataError(f"A row of {record.name} has no prompt with two answers.", "It needs a prompt, chosen and rejected.")
    return opening, last[0]["content"], last[1]["content"]


def as_feedback(record: DatasetRecord, row: dict[str, Any]) -> tuple[list[dict[str, str]], str, bool]:
    """``(prompt, answer, good)`` of a row of feedback: the messages before the answer, the answer, and whether it was marked
    good. Raises ``DataError`` for a row without them."""
    columns = record.columns
    prompt, answer, mark = (row.get(columns[role]) for role in ("prompt", "completion", "label"))
    opening = _messages(prompt) or ([{"role": "user", "content": _text(prompt)}] if prompt else [])
    last = (_messages(answer) or _answer(answer))[-1]
    good = marked.MARKS.get(str(mark).strip().lower())
    if not opening or not last["content"] or good is None:
        raise DataError(
            f"A row of {record.name} has no prompt with an answer that is marked.", "It needs a prompt, a completion and a label: true or false."
        )
    return opening, last["content"], good


def _answer(value: Any) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": _text(value)}]


def as_text(record: DatasetRecord, row: dict[str, Any], columns: list[str] | None = None) -> str:
    """The row as words: what search embeds and what a prompt quotes. ``columns`` instead of the shape's own."""
    if columns:
        return "\n".join(part for part in (_text(row.get(column)) for column in columns) if part)
    roles = record.columns
    if record.shape in marked.SHAPES or "second" in roles:
        return marked.as_text(record, row)
    if record.shape in ("text", "classification"):
        return _text(row.get(roles["text"]))
    if record.shape in pairs.SHAPES:
        return pairs.as_text(record, row)
    if record.shape == "preference":
        parts = [row.get(roles[role]) for role in ("prompt", "chosen", "rejected") if role in roles]
        return "\n".join(part for part in map(_text, parts) if part)
    if record.shape in ("instruction", "feedback"):
        parts = [row.get(roles["prompt"]), row.get(roles["input"]) if "input" in roles else None, row.get(roles["completion"])]
        return "\n".join(part for part in map(_text, parts) if part)
    if record.shape == "conversation":
        return _text(row.get(roles["messages"]))
    return "\n".join(f"{name}: {text}" for name, text in ((name, _text(value)) for name, value in row.items()) if text)


def _prompt(row: dict[str, Any], columns: dict[str, str]) -> str:
    parts = [_text(row.get(columns["prompt"])), _text(row.get(columns["input"])) if "input" in columns else ""]
    return "\n\n".join(part for part in parts if part)


def _finished(messages: list[dict[str, str]], record: DatasetRecord) -> list[dict[str, str]]:
    last = max((number for number, message in enumerate(messages) if message["role"] == "assistant" and message["content"]), default=-1)
    if last < 1:
        raise DataError(f"A row of {record.name} has no question with an answer.", "Look at it with `show`, and name other columns when you add it.")
    return messages[: last + 1]


def _messages(value: Any) -> list[dict[str, str]]:
    """Messages in whichever of the usual spellings; an empty list when ``value`` is something else."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    if not isinstance(value, list) or not value:
        return []
    found = []
    for item in value:
        if not isinstance(item, dict):
            return []
        role = item.get("role") or item.get("from")
        if not isinstance(role, str):
            return []
        content = item.get("content") if "content" in item else item.get("value")
        found.append({"role": ROLES.get(role.lower(), role.lower()), "content": _content(content)})
    return found


def _content(value: Any) -> str:
    if isinstance(value, list):  # typed parts: {"type": "text", "text": …} or {"type": "text", "value": …}
        return "".join(_content(part) for part in value)
    if isinstance(value, dict):
        return _text(value.get("text") or value.get("value"))
    return _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if chat := _messages(value):
        return "\n".join(f"{message['role']}: {message['content']}" for message in chat)
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list)) else str(value)


def _named(features: dict[str, str], names: tuple[str, ...]) -> list[str]:
    """The columns with one of ``names``, whatever their case, in the order of ``names``."""
    by_name = {column.lower().strip(): column for column in reversed(features)}
    return [by_name[name] for name in names if name in by_name]


def _speaks(column: str, features: dict[str, str], sample: list[dict[str, Any]]) -> bool:
    return _is_text(features[column]) or any(_messages(row.get(column)) for row in sample)


def _is_text(kind: str) -> bool:
    return kind == "string"


def _is_label(kind: str) -> bool:
    return kind in ("string", "bool") or ("int" in kind and not kind.startswith("list"))


def _label_by_values(features: dict[str, str], sample: list[dict[str, Any]]) -> str | None:
    """In a table of two columns: the one whose few short values keep coming back, if there is one."""
    if len(features) != 2 or len(sample) < 20:
        return None
    for column, kind in reversed(features.items()):
        values = [str(row.get(column)) for row in sample if row.get(column) is not None]
        if _is_label(kind) and values and 2 <= len(set(values)) <= len(values) // 3 and max(map(len, values)) <= 60:
            return column
    return None


def _text_column(features: dict[str, str], sample: list[dict[str, Any]], least: float = LONG) -> str | None:
    """The column of text: by its name, or else the longest on average, if it has at least ``least`` characters."""
    texts = [column for column, kind in features.items() if _is_text(kind)]
    named = [c for c in _named(features, TEXT) if c in texts and any(row.get(c) for row in sample)]
    if named or not texts:
        return named[0] if named else None
    lengths = {c: sum(len(str(row.get(c) or "")) for row in sample) / max(1, len(sample)) for c in texts}
    longest = max(texts, key=lambda column: lengths[column])
    return longest if lengths[longest] >= least or len(features) == 1 else None
