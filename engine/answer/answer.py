"""A question to a dataset: retrieve, decide whether anything is relevant, write, cite."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.answer.prompt import build
from engine.answer.support import cite, statements, support, words
from engine.events import Event, PassagesFound, TokenDelta
from engine.inference.protocol import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.inference.protocol import Backend
    from engine.jobs.context import CancelToken
    from engine.search.reader import Hit, Reader

NEAR = 0.35
"""The least cosine at which a passage may answer a question (MiniLM: questions about something else stay below)."""
SHARED = 0.6
"""Or the share of the question's words that a passage holds."""
ROOM = 200
"""Tokens kept for the answer."""
CHOICES = 2
"""Sentences that a small model may choose from."""
CLOSE = 0.03
"""How far below the best a sentence may rank and still be a choice."""


def answer(
    reader: Reader, backend: Backend, dataset: str, question: str, count: int, emit: Callable[[Event], None], cancel: CancelToken
) -> dict[str, Any]:
    """The JSON of an answer: ``answer``, ``dataset``, ``model``, ``found``, ``passages`` (n, address, text, score,
    quote), ``cited`` and ``usage``. Streams ``PassagesFound``, then ``TokenDelta``."""
    hits = reader.search(dataset, question, k=max(count, 5), cancel=cancel)
    found = relevant(question, hits)
    shown = _passages(reader, dataset, question, (found or hits)[:count])
    data: dict[str, Any] = {"dataset": dataset, "model": backend.facts.name, "found": bool(found), "passages": [], "cited": [], "usage": {}}
    data["passages"] = [{key: value for key, value in passage.items() if key != "ranked"} for passage in shown]
    emit(PassagesFound(passages=data["passages"]))
    if not found:
        return {**data, "answer": f"Nothing in “{dataset}” answers that." + (" The nearest rows are below." if shown else "")}
    texts = [passage["text"] for passage in shown]
    messages, used = build(backend, question, texts, ROOM)
    choices = _choices(shown[:used]) if backend.facts.small else []
    text = ""
    for piece in backend.stream(messages, Sampling(temperature=0.0, repetition_penalty=1.0, max_tokens=ROOM, choices=tuple(choices)), cancel):
        text += piece
        emit(TokenDelta(text=piece))
    cited, numbers = cite(text, texts[:used])
    if not numbers and not cancel.asked:
        # Nothing that the model wrote stands on a passage: say what the best passage itself says, as a quote.
        cited, numbers = f"“{shown[0]['quote']}” [1]", [1]
    return {**data, "answer": cited, "cited": numbers, "usage": asdict(backend.usage)}


def _choices(passages: list[dict[str, Any]]) -> list[str]:
    """What a small model may say: the sentences nearest to the question, each with its neighbour. It decides which of
    them answers; it can invent nothing."""
    ranked = sorted((pair for passage in passages for pair in passage["ranked"]), key=lambda pair: -pair[0])
    near = [span for score, span in ranked if score >= ranked[0][0] - CLOSE]
    return list(dict.fromkeys(near))[:CHOICES]


def relevant(question: str, hits: list[Hit]) -> list[Hit]:
    """The hits that may answer; empty when retrieval is weak."""
    asked = words(question)
    return [
        hit for hit in hits
        if (hit.cosine is not None and hit.cosine >= NEAR) or (len(asked) > 1 and len(asked & words(hit.text)) / len(asked) >= SHARED)
    ]  # fmt: skip


def _passages(reader: Reader, dataset: str, question: str, hits: list[Hit]) -> list[dict[str, Any]]:
    """The hits as an answer shows them: with the sentence nearest to the question as quote, and its spans ranked."""
    split = [statements(hit.text) for hit in hits]
    cosines = iter(reader.rank(dataset, question, [statement.context for group in split for statement in group]))
    shown = []
    for number, (hit, group) in enumerate(zip(hits, split, strict=True), start=1):
        # Of two sentences as near as each other, the one from the better passage, and the one with more of the question's words.
        scored = [(next(cosines) + 0.2 * support(question, s.context) - 0.05 * number, s) for s in group]
        scored.sort(key=lambda pair: -pair[0])
        shown.append(
            {"n": number, "address": hit.address, "text": hit.text, "score": round(hit.score, 4), "quote": scored[0][1].text,
             "ranked": [(score, statement.span) for score, statement in scored]}
        )  # fmt: skip
    return shown
