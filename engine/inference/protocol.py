"""What every chat backend offers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.jobs.context import CancelToken

SMALL = 600_000_000
"""Weights in bytes under which a model counts as small."""
Message = dict[str, Any]
"""``role`` (system, user, assistant, tool) and ``content``: a text, or parts ``{"type": "text", "text"}`` and
``{"type": "image", "image": path or data URI}``. An assistant's message may have ``tool_calls``; a tool's answer has
``tool_call_id``."""
Tool = dict[str, Any]
"""``{"type": "function", "function": {"name", "description", "parameters": JSON schema}}``."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen: the repetition penalty (over prompt and answer), then temperature, top-k, top-p and
    min-p, in this order in every backend. ``temperature`` 0 is greedy decoding; ``seed`` None is a new one each time;
    ``top_k`` 0 means all. The answer ends before the first of ``stop``.

    With ``choices`` the answer is one of these texts to the letter, with ``regex`` all of it matches, with ``schema`` it is
    JSON that fits: the model decides which. An answer cut off at ``max_tokens`` is only the beginning of one.

    ``lookup`` is how many tokens transformers copies from the conversation and then checks in one step (prompt lookup);
    llama.cpp takes the setting of that name when it loads, for all answers.
    """

    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 40
    min_p: float = 0.0
    repetition_penalty: float = 1.05
    max_tokens: int = 512
    seed: int | None = None
    stop: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    regex: str = ""
    schema: dict[str, Any] | None = None
    lookup: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "stop": list(self.stop), "choices": list(self.choices)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Sampling:
        """What :meth:`as_dict` made."""
        return cls(**{**values, "stop": tuple(values["stop"]), "choices": tuple(values["choices"])})


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
    says why it runs on this backend, where another was to be expected; ``sees``: it takes pictures."""

    name: str
    backend: str
    context: int
    device: str
    quantisation: str = ""
    adapter: str = ""
    small: bool = False
    note: str = ""
    sees: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """How far a prompt is read, in tokens; those that were in the cache count."""

    done: int
    total: int


class Call(TypedDict):
    """A tool that the model would have called. Nothing calls it. ``arguments`` is the text that the model wrote where
    that is no JSON object."""

    id: str
    name: str
    arguments: dict[str, Any] | str


def unheard(read: Read) -> None:
    """What hears how far a prompt is read while nobody asks."""


class Backend(Protocol):
    """A loaded model. One conversation at a time; the prefix it shares with the last one is not computed again."""

    usage: Usage
    """Of the last answer."""
    calls: list[Call]
    """The tools that the last answer calls; its text is without them."""
    reading: Callable[[Read], object]
    """Called before the first piece of an answer, where the engine tells how far it is."""

    @property
    def facts(self) -> Facts: ...

    def stream(self, messages: list[Message], sampling: Sampling, cancel: CancelToken, tools: Sequence[Tool] = ()) -> Iterator[str]:
        """Pieces of the answer as they are decoded; ends early, without an error, when ``cancel`` is asked.

        A conversation whose last message is the assistant's is gone on with where that message stops. A model's
        thoughts come first, between ``<think>`` and ``</think>``.

        Raises ``ModelError`` when the prompt does not fit the context, the model fails, or it can't do what is asked of
        it (a form, tools, pictures).
        """
        ...

    def complete(self, text: str, sampling: Sampling, cancel: CancelToken) -> Iterator[str]:
        """How ``text`` goes on, with no template: control tokens in it act. Otherwise like :meth:`stream`."""
        ...

    def count(self, messages: list[Message]) -> int:
        """Tokens of the conversation as the model's template writes it, the opening of the answer included."""
        ...

    def close(self) -> None: ...
