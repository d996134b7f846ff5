"""Ways to run a model raced against each other: in short rounds, one after another, so that a busy machine harms all alike."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from engine.inference.fastest import applied
from engine.inference.llamacpp import LlamaCpp
from engine.inference.protocol import Sampling
from engine.jobs.context import CancelToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.inference.fastest import Way
    from engine.settings import Settings
    from engine.store.models import ModelRecord

PASSAGE = (
    "The grey heron stands very still at the water's edge and listens. It hunts fish, frogs and small mammals, alone, at dawn and "
    "at dusk, and swallows them whole. It nests in colonies high in trees, which are used year after year and grow large. Both "
    "parents build, sit on three to five eggs for about twenty-six days, and feed the young for seven or eight weeks. "
)
"""Our own words; about a hundred tokens."""
ANSWER = 32
"""Tokens of an answer."""
BEHIND = 1.5
"""A way that took so many times as long as the best, in a chat and in a batch, is not measured again."""


Turn = tuple[float, float, float, float]
"""Prefill and decode in tokens a second, and the seconds of a chat's turn and of a batch."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians of one way. ``prefill`` and ``decode`` in tokens a second; ``chat`` and ``batch`` are seconds of a turn with
    a passage in it and of four short prompts."""

    way: Way
    prefill: float
    decode: float
    chat: float
    batch: float

    def seconds(self, use: str) -> float:
        return self.chat if use == "chat" else self.batch


def race(record: ModelRecord, settings: Settings, ways: list[Way], rounds: int, step: Callable[[int, int], object]) -> list[Figures]:
    """Measure all ``ways``, each loaded once; ``step(done, total)`` is called before each turn and may raise to stop.

    A short answer warms each up. One that is far behind after a round is measured no more. Raises ``ModelError``.
    """
    found: dict[Way, list[Turn]] = {way: [] for way in ways}
    done, total = 0, len(ways) * rounds
    backends: dict[Way, LlamaCpp] = {}
    try:
        for number in range(rounds):
            for way in _in_the_race(found):
                step(done, total)
                if way not in backends:
                    backends[way] = LlamaCpp(*applied(record, settings.model_copy(update={"threads": 0, "context": 2048}), way))
                    _say(backends[way], "Hello.", Sampling(temperature=0, max_tokens=2))
                found[way].append(_turns(backends[way], number))
                done += 1
            total = done + len(_in_the_race(found)) * (rounds - number - 1)
        step(total, total)
    finally:
        for backend in backends.values():
            backend.close()
        gc.collect()
    return [Figures(way, *(median(column) for column in zip(*figures, strict=True))) for way, figures in found.items()]


def _in_the_race(found: dict[Way, list[Turn]]) -> list[Way]:
    """The ways that are not far behind; all, before the first round."""
    medians = {way: [median(column) for column in zip(*turns, strict=True)][2:] for way, turns in found.items() if turns}
    if not medians:
        return list(found)
    chat, batch = (min(column) for column in zip(*medians.values(), strict=True))
    return [way for way, seconds in medians.items() if seconds[0] < BEHIND * chat or seconds[1] < BEHIND * batch]


def _turns(backend: LlamaCpp, number: int) -> Turn:
    """One turn with a passage, then four short prompts; ``number`` stands first, so that no prefix is there already."""
    greedy = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=ANSWER)
    began = time.perf_counter()
    # Shorter where a model reads little: a character is a token at the worst.
    passage = (PASSAGE * 2)[: backend.facts.context - 200]
    _say(backend, f"{number}. {passage}\nTell me what the heron does, in its own words.", greedy)
    chat = time.perf_counter() - began
    usage = backend.usage
    prefill = (usage.prompt_tokens - usage.cached) / usage.first_token if usage.first_token else 0.0
    rate = usage.rate
    began = time.perf_counter()
    for topic in ("a heron", "a reed", "a pond", "the rain"):
        _say(backend, f"{topic} {number}: say what it is.", Sampling(temperature=0, repetition_penalty=1.0, max_tokens=12))
    return prefill, rate, chat, time.perf_counter() - began


def _say(backend: Any, text: str, sampling: Sampling) -> None:
    for _ in backend.stream([{"role": "user", "content": text}], sampling, CancelToken()):
        pass
