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
ANSWER = 48
"""Tokens of an answer."""


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

    A first round warms up and is not counted. Raises ``ModelError``.
    """
    found: dict[Way, list[tuple[float, float, float, float]]] = {way: [] for way in ways}
    done, total = 0, len(ways) * (rounds + 1)
    backends: dict[Way, LlamaCpp] = {}
    try:
        for number in range(rounds + 1):
            for way in ways:
                step(done, total)
                if way not in backends:
                    backends[way] = LlamaCpp(*applied(record, settings.model_copy(update={"threads": 0, "context": 2048}), way))
                figures = _turns(backends[way], number)
                if number:
                    found[way].append(figures)
                done += 1
        step(total, total)
    finally:
        for backend in backends.values():
            backend.close()
        gc.collect()
    return [Figures(way, *(median(column) for column in zip(*figures, strict=True))) for way, figures in found.items()]


def _turns(backend: LlamaCpp, number: int) -> tuple[float, float, float, float]:
    """One turn with a passage, then four short prompts; ``number`` stands first, so that no prefix is there already."""
    greedy = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=ANSWER)
    began = time.perf_counter()
    # Shorter where a model reads little: a character is a token at the worst.
    passage = (PASSAGE * 3)[: backend.facts.context - 200]
    _say(backend, f"{number}. {passage}\nTell me what the heron does, in its own words.", greedy)
    chat = time.perf_counter() - began
    usage = backend.usage
    prefill = (usage.prompt_tokens - usage.cached) / usage.first_token if usage.first_token else 0.0
    rate = usage.rate
    began = time.perf_counter()
    for topic in ("a heron", "a reed", "a pond", "the rain"):
        _say(backend, f"{topic} {number}: say what it is.", Sampling(temperature=0, repetition_penalty=1.0, max_tokens=16))
    return prefill, rate, chat, time.perf_counter() - began


def _say(backend: Any, text: str, sampling: Sampling) -> None:
    for _ in backend.stream([{"role": "user", "content": text}], sampling, CancelToken()):
        pass
