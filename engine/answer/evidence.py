"""What the rows say about a question: diverse passages, their sentences weighed, and whether any of them answers.

The weights were fitted on the even half of 1190 XQuAD questions and rounded; ``tests.bench.answers`` reports on the
odd half. Cosines are MiniLM's: another encoder may want other thresholds.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.answer.support import Statement, statements
from engine.answer.words import tokens, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ENOUGH = 0.62
"""The least evidence of a passage that answers: the cosine of its best sentence, and half the share of the question's
words that it holds."""
RELEVANCE = 0.7
"""How much of a passage's rank counts beside how little it repeats (maximal marginal relevance)."""
SAME = 0.9
"""The share of words from which two passages say the same."""
FIGURE = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|thousand|million|billion|half|third|quarter|once|twice|several)\b",
    re.IGNORECASE,
)
DATE = re.compile(
    r"\b\d{3,4}s?\b|\b\d{1,2}[:.]\d\d\b|\d(?:st|nd|rd|th)\b|\b(?:centur(?:y|ies)|BC|AD|today|yesterday|tomorrow"
    r"|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|January|February|March|April|May|June|July|August|September|October|November|December)\b"
)
CAUSE = re.compile(
    r"\b(?:because|since|due to|so that|so as|in order|to|caus(?:e|es|ed)|reason|therefore|thus|leads?|led|result(?:s|ed)?)\b", re.IGNORECASE
)
KINDS = (
    (
        re.compile(
            r"\bhow (?:many|much|long|old|far|large|big|tall|high|often)\b|\b(?:what|which) (?:percent|percentage|number|amount)\b|\bpercentage\b"
        ),
        FIGURE,
    ),
    (re.compile(r"\bwhen\b|\b(?:what|which) (?:\w+ )?(?:year|date|day|month|century|decade|time)\b"), DATE),
    (re.compile(r"\bwhy\b"), CAUSE),
)
NAMES = re.compile(
    r"\bwho(?:se|m)?\b|\bwhere\b|\b(?:what|which) (?:\w+ )?(?:city|country|person|team|player|company|state|university|name|group|nation|king|river|region)\b"
)


@dataclass(slots=True)
class Passage:
    """A row as an answer uses it. ``evidence`` says how well it answers; ``candidates`` are its sentences, best first."""

    address: str
    text: str
    score: float
    split: str = ""
    row: int = 0
    evidence: float = 0.0
    candidates: list[Candidate] = field(default_factory=list)

    @property
    def answers(self) -> bool:
        return self.evidence >= ENOUGH


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may answer, and its weight."""

    statement: Statement
    weight: float


def diverse(passages: Sequence[Passage], count: int) -> list[Passage]:
    """``count`` of the passages, which come best first, such that none repeats another."""
    left = list(range(len(passages)))
    chosen: list[int] = []
    alike: dict[int, float] = dict.fromkeys(left, 0.0)
    while left and len(chosen) < count:
        best = max(left, key=lambda at: RELEVANCE * (1 - at / len(passages)) - (1 - RELEVANCE) * alike[at])
        chosen.append(best)
        mine = words(passages[best].text)
        for at in left:
            other = words(passages[at].text)
            alike[at] = max(alike[at], len(mine & other) / max(1, len(mine | other)))
        left = [at for at in left if at != best and alike[at] < SAME]
    return [passages[at] for at in sorted(chosen)]


def split(passages: Iterable[Passage]) -> list[list[Statement]]:
    """The sentences of each passage."""
    return [statements(passage.text) for passage in passages]


def weigh(question: str, passages: Sequence[Passage], groups: Sequence[Sequence[Statement]], cosines: Iterable[float]) -> None:
    """Give each passage its candidates and its evidence. ``cosines``: of each statement with the question, in order."""
    asked = words(question)
    share = _rarity(asked, [words(statement.context) for group in groups for statement in group])
    following = iter(cosines)
    for place, (passage, group) in enumerate(zip(passages, groups, strict=True)):
        best = 0.0
        found = []
        for statement, cosine in _answering(group, [next(following) for _ in group]):
            own = words(statement.context)
            best = max(best, cosine)
            weight = cosine + 0.8 * share(own) + 0.2 * share(words(statement.before) - own) + 0.2 * fits(question, statement.text) - 0.05 * place
            found.append(Candidate(statement, weight))
        passage.candidates = sorted(found, key=lambda candidate: -candidate.weight)
        held = len(asked & words(passage.text)) / len(asked) if asked else 0.0
        passage.evidence = round(best + 0.5 * held, 4)


def _answering(group: Sequence[Statement], cosines: Sequence[float]) -> list[tuple[Statement, float]]:
    """The statements that can answer, each with its cosine. A question answers nothing: what it is near to goes to the
    sentence after it. Where all are questions they stay, as near to nothing."""
    found = []
    lent = 0.0
    for statement, cosine in zip(group, cosines, strict=True):
        if statement.text.rstrip(" \"'”’)").endswith(("?", "？")):
            lent = max(lent, cosine)
        else:
            found.append((statement, max(cosine, lent)))
            lent = 0.0
    return found or [(statement, 0.0) for statement in group]


def _rarity(asked: frozenset[str], sentences: list[frozenset[str]]) -> Share:
    """A function: which share of the question's words some words hold, a word in few of the sentences counting most."""
    seen = Counter(word for sentence in sentences for word in sentence & asked)
    worth = {word: math.log((len(sentences) + 1) / (seen[word] + 0.5)) for word in asked}
    return Share(worth, sum(worth.values()) or 1.0)


@dataclass(frozen=True, slots=True)
class Share:
    """The share of a question's worth that some words hold."""

    worth: dict[str, float]
    total: float

    def __call__(self, held: frozenset[str]) -> float:
        return sum(self.worth[word] for word in held if word in self.worth) / self.total


def fits(question: str, sentence: str) -> bool:
    """Whether the sentence holds the kind of thing that is asked for: a figure, a date, a cause, a name."""
    asked = question.lower()
    for kind, wanted in KINDS:
        if kind.search(asked):
            return bool(wanted.search(sentence))
    if NAMES.search(asked):
        known = words(question)
        return any(word[0].isupper() and not words(word) <= known for word in tokens(sentence)[1:])
    return False
