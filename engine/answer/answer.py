"""A question to a dataset: retrieve, decide whether anything is relevant, quote or write, cite."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.answer.evidence import diverse, split, weigh
from engine.answer.prompt import NONE, build, plain_marks
from engine.answer.quote import passage_of, place_of
from engine.answer.stream import Citing
from engine.answer.support import Cited, statements, support
from engine.events import Event, PassagesFound, PromptRead, TokenDelta
from engine.inference.protocol import Sampling
from engine.search import analysis
from engine.search.marks import marked

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.answer.evidence import Passage
    from engine.inference.protocol import Backend
    from engine.jobs.context import CancelToken
    from engine.search.reader import Reader
    from engine.store.datasets import DatasetRecord

ROOM = 200
"""Tokens kept for the answer."""
BUT = "No row says so. The nearest one says: "
POOL = 4
"""Hits looked at for each passage wanted, so that rows which repeat each other can give way."""
_ESCAPE = re.compile("(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]")
"""A terminal's control sequence, whole, so that none leaves its tail behind."""


class Answering:
    """One question to one dataset. ``emit`` hears ``PassagesFound``, then ``PromptRead`` and ``TokenDelta``."""

    def __init__(self, reader: Reader, dataset: DatasetRecord, emit: Callable[[Event], None], cancel: CancelToken) -> None:
        self._reader, self._dataset, self._emit, self._cancel = reader, dataset, emit, cancel

    def answer(self, question: str, asked: str, count: int, backend: Backend | None) -> dict[str, Any]:
        """The JSON of an answer: ``question``, ``asked`` (as it was understood), ``dataset``, ``model``, ``by`` (quote or
        model), ``found``, ``answer``, ``sentences`` (text, cited, supported, score, spans), ``passages`` (n, address,
        text, score, evidence, quote, span, and words: where those of the question stand in the quote), ``cited``
        and ``usage``.

        With no ``backend`` the answer is the sentence of the rows that answers best, as a quote.
        """
        passages = self._passages(asked, count)
        found = _best_first([passage for passage in passages if passage.answers])
        shown = found or passages
        data: dict[str, Any] = {
            "question": question, "asked": asked, "dataset": self._dataset.name, "model": backend.facts.name if backend else "",
            "by": "model" if backend else "quote", "found": bool(found), "answer": "", "sentences": [], "cited": [], "usage": {},
            "passages": [self._described(number, passage, asked) for number, passage in enumerate(shown, start=1)],
        }  # fmt: skip
        self._emit(PassagesFound(passages=data["passages"], asked=asked if asked != question else ""))
        if not found:
            return {**data, "answer": self._nothing(bool(shown))}
        return self._written(data, asked, found, backend) if backend else self._quoted(data, found)

    # -- the rows ----------------------------------------------------------------------------------------------

    def _passages(self, asked: str, count: int) -> list[Passage]:
        """At most ``count`` passages, best first, that do not repeat each other; their sentences weighed."""
        columns = self._reader.index(self._dataset.name).columns
        hits = self._reader.search(self._dataset.name, asked, k=POOL * count, cancel=self._cancel)
        passages = diverse([passage_of(self._dataset, columns, hit) for hit in hits], count)
        groups = split(passages)
        weigh(asked, passages, groups, self._reader.rank(self._dataset.name, asked, [s.context for group in groups for s in group]))
        return passages

    def _described(self, number: int, passage: Passage, asked: str) -> dict[str, Any]:
        best = passage.candidates[0].statement
        quote, place = place_of(self._dataset, passage, passage.text[best.start : best.end])
        return {
            "n": number, "address": passage.address, "text": passage.text, "score": passage.score, "evidence": passage.evidence,
            "quote": quote, "span": asdict(place), "words": marked(quote, dict.fromkeys(analysis.query(asked), 1.0)),
        }  # fmt: skip

    # -- the words ---------------------------------------------------------------------------------------------

    def _quoted(self, data: dict[str, Any], found: list[Passage]) -> dict[str, Any]:
        """The sentence that answers best, in the row's own words."""
        passage, best = found[0], found[0].candidates[0].statement
        quote = passage.text[best.start : best.end]
        answer = f"“{spoken(quote)}” [1]"
        self._emit(TokenDelta(text=answer))
        own, place = place_of(self._dataset, passage, quote)
        sentence = {"text": spoken(quote), "cited": [1], "supported": True, "score": 1.0, "spans": [{"n": 1, "text": own, **asdict(place)}]}
        return {**data, "answer": answer, "sentences": [sentence], "cited": [1]}

    def _written(self, data: dict[str, Any], asked: str, found: list[Passage], backend: Backend) -> dict[str, Any]:
        """What the model writes, each sentence with the rows behind it as it comes."""
        texts = [passage.text for passage in found]
        quotes = [passage.text[slice(p.statement.start, p.statement.end)] for passage in found for p in passage.candidates[:1]]
        messages, used = build(backend, asked, texts, ROOM, quotes)
        citing = Citing(texts[:used])
        backend.reading = lambda read: self._emit(PromptRead(done=read.done, total=read.total))
        for piece in backend.stream(messages, Sampling(temperature=0.0, repetition_penalty=1.1, max_tokens=ROOM), self._cancel):
            self._say(citing.feed(piece))
            if citing.repeats:
                break  # A small model that goes round in circles.
        self._say(citing.end())
        usage = asdict(backend.usage)
        if citing.text.startswith(NONE.rstrip(".")):
            return {**data, "found": False, "answer": self._nothing(shown=True), "usage": usage}
        answer = citing.text
        cited = list(dict.fromkeys(number for sentence in citing.sentences for number in sentence.numbers))
        sentences = [self._told(sentence, found) for sentence in citing.sentences]
        if not cited and not self._cancel.asked:
            # Nothing that the model wrote stands on a passage: after it comes what the rows themselves say.
            lead = f"\n\n{BUT}" if answer else ""
            self._say(lead)
            quoted = self._quoted(data, found)
            answer, cited = answer + lead + quoted["answer"], quoted["cited"]
            sentences += quoted["sentences"]
        return {**data, "answer": answer, "sentences": sentences, "cited": cited, "usage": usage}

    def _told(self, sentence: Cited, found: list[Passage]) -> dict[str, Any]:
        spans = []
        for number in sentence.numbers:
            passage = found[number - 1]
            behind = max(statements(passage.text), key=lambda statement: support(sentence.text, statement.text))
            own, place = place_of(self._dataset, passage, behind.text)
            spans.append({"n": number, "text": own, **asdict(place)})
        return {"text": sentence.text, "cited": list(sentence.numbers), "supported": sentence.supported, "score": sentence.score, "spans": spans}

    def _say(self, text: str) -> None:
        if text:
            self._emit(TokenDelta(text=text))

    def _nothing(self, shown: bool) -> str:
        return f"Nothing in “{self._dataset.name}” answers that." + (" The nearest rows are below." if shown else "")


def _best_first(found: list[Passage]) -> list[Passage]:
    """The passages as they were ranked, but first the one whose sentence answers best."""
    best = max(found, key=lambda passage: passage.candidates[0].weight, default=None)
    return sorted(found, key=lambda passage: passage is not best)


def spoken(text: str) -> str:
    """A row's words on one line, with nothing in them that acts: no control characters, and no ``[7]`` that could
    pass for a citation."""
    text = _ESCAPE.sub("", text)
    kept = "".join(sign if unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co") or sign in "\t\n\u200c\u200d" else "" for sign in text)
    return plain_marks(" ".join(kept.split()))
