"""A question to a dataset: retrieve, decide whether anything is relevant, write, cite."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.answer.prompt import build
from engine.answer.support import cite, sentences, support, words
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
ROOM = 160
"""Tokens kept for the answer."""


def answer(
    reader: Reader, backend: Backend, dataset: str, question: str, count: int, emit: Callable[[Event], None], cancel: CancelToken
) -> dict[str, Any]:
    """The JSON of an answer: ``answer``, ``dataset``, ``model``, ``found``, ``passages`` (n, address, text, score,
    quote), ``cited`` and ``usage``. Streams ``PassagesFound``, then ``TokenDelta``."""
    hits = reader.search(dataset, question, k=max(count, 5), cancel=cancel)
    found = relevant(question, hits)
    shown = _passages(reader, dataset, question, (found or hits)[:count])
    data: dict[str, Any] = {"dataset": dataset, "model": backend.facts.name, "found": bool(found), "passages": shown, "cited": [], "usage": {}}
    emit(PassagesFound(passages=shown))
    if not found:
        return {**data, "answer": f"Nothing in “{dataset}” answers that." + (" The nearest rows are below." if shown else "")}
    messages, used = build(backend, question, [passage["text"] for passage in shown], ROOM)
    text = ""
    for piece in backend.stream(messages, Sampling(temperature=0.0, repetition_penalty=1.0, max_tokens=ROOM), cancel):
        text += piece
        emit(TokenDelta(text=piece))
    cited, numbers = cite(text, [passage["text"] for passage in shown[:used]])
    if not numbers and not cancel.asked:
        # Nothing that the model wrote stands on a passage: say what the best passage itself says, as a quote.
        cited, numbers = f"“{shown[0]['quote']}” [1]", [1]
    return {**data, "answer": cited, "cited": numbers, "usage": asdict(backend.usage)}


def relevant(question: str, hits: list[Hit]) -> list[Hit]:
    """The hits that may answer; empty when retrieval is weak."""
    asked = words(question)
    return [
        hit for hit in hits
        if (hit.cosine is not None and hit.cosine >= NEAR) or (len(asked) > 1 and len(asked & words(hit.text)) / len(asked) >= SHARED)
    ]  # fmt: skip


def _passages(reader: Reader, dataset: str, question: str, hits: list[Hit]) -> list[dict[str, Any]]:
    """The hits as an answer shows them, each with the sentence of it that is nearest to the question."""
    split = [sentences(hit.text) or [hit.text] for hit in hits]
    flat = [sentence for group in split for sentence in group]
    cosines = iter(reader.rank(dataset, question, flat))
    shown = []
    for number, (hit, group) in enumerate(zip(hits, split, strict=True), start=1):
        scored = [(next(cosines) + 0.2 * support(question, sentence), sentence) for sentence in group]
        shown.append({"n": number, "address": hit.address, "text": hit.text, "score": round(hit.score, 4), "quote": max(scored)[1]})
    return shown
