"""What every chat backend offers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.jobs.context import CancelToken

SMALL = 600_000_000
"""Weights in bytes under which a model counts as small."""
Message = dict[str, str]
"""``{"role": "system" | "user" | "assistant", "content": text}``."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. ``temperature`` 0 is greedy decoding; ``seed`` None is a new one each time.
    With ``choices`` the answer is one of these texts to the letter: the model decides which."""

    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 40
    min_p: float = 0.0
    repetition_penalty: float = 1.05
    max_tokens: int = 512
    seed: int | None = None
    stop: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "stop": list(self.stop), "choices": list(self.choices)}


def decoding_rate(tokens: int, seconds: float) -> float:
    """Tokens a second, ``seconds`` after the first of ``tokens``; 0 for less than a twentieth of a second."""
    return (tokens - 1) / seconds if tokens > 1 and seconds > 0.05 else 0.0


@dataclass(slots=True)
class Usage:
    """Figures of one answer. Times in seconds; ``rate`` in decoded tokens a second, the first one left out (0 where
    that took too short to measure);
    ``cached`` is how many prompt tokens were already computed; ``finish`` is stop, length or cancel."""

    prompt_tokens: int = 0
    cached: int = 0
    completion_tokens: int = 0
    first_token: float = 0.0
    rate: float = 0.0
    finish: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a loaded model is. ``context`` in tokens; ``small``: its own words are not to be trusted with facts; ``note``
    says why it runs on this backend, where another was to be expected."""

    name: str
    backend: str
    context: int
    device: str
    quantisation: str = ""
    adapter: str = ""
    small: bool = False
    note: str = ""


class Backend(Protocol):
    """A loaded model. One conversation at a time; the prefix it shares with the last one is not computed again."""

    usage: Usage
    """Of the last answer."""

    @property
    def facts(self) -> Facts: ...

    def stream(self, messages: list[Message], sampling: Sampling, cancel: CancelToken) -> Iterator[str]:
        """Pieces of the answer as they are decoded; ends early, without an error, when ``cancel`` is asked.

        A conversation whose last message is the assistant's is gone on with where that message stops. A model's
        thoughts come first, between ``<think>`` and ``</think>``.

        Raises ``ModelError`` when the prompt does not fit the context or the model fails.
        """
        ...

    def count(self, messages: list[Message]) -> int:
        """Tokens of the conversation as the model's template writes it, the opening of the answer included."""
        ...

    def close(self) -> None: ...
