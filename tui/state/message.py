"""One entry of the conversation on the screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from engine.commands.talk.thinking import part

Kind = Literal["user", "answer", "note", "error"]


@dataclass(slots=True)
class Message:
    """One entry. ``text`` is what was typed, said or streamed so far; ``busy`` until its call is finished;
    ``found`` is false for an answer that found nothing relevant; ``asked`` is a follow-up as it was understood;
    ``unsupported`` is how many sentences no row supports; ``quoted``: the words are a row's, not a model's;
    ``result`` is the JSON of a note's Result. ``id`` is its number in the conversation (0: not known yet), ``siblings``
    those of the messages in the same place; ``context`` is how full the model's window is after it; ``attached`` are the
    names of what went along; ``remarks`` what is to be known of an answer besides its words: the tools that it calls;
    ``stopping``: it was asked to stop; ``read`` the part of the prompt that the model has read, from 0 to 1."""

    number: int
    kind: Kind
    text: str = ""
    verb: str = ""
    ticket: str = ""
    busy: bool = False
    found: bool = True
    model: str = ""
    asked: str = ""
    unsupported: int = 0
    quoted: bool = False
    passages: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    id: int = 0
    siblings: list[int] = field(default_factory=list)
    context: dict[str, Any] = field(default_factory=dict)
    attached: list[str] = field(default_factory=list)
    remarks: str = ""
    stopping: bool = False
    read: float = 0.0

    @property
    def waiting(self) -> str:
        """What it does before its first word."""
        if self.stopping:
            return "stopping…"
        if self.parts()[0]:
            return ""
        rows = (
            f"reading {len(self.passages)} row{'' if len(self.passages) == 1 else 's'}" if self.passages else "reading" if self.read else "thinking"
        )
        return f"{rows}, {self.read:.0%}…" if 0 < self.read < 1 else f"{rows}…"

    @property
    def place(self) -> str:
        """Which of its siblings it is, where it has any: ``‹2/3›``."""
        return f"‹{self.siblings.index(self.id) + 1}/{len(self.siblings)}›" if len(self.siblings) > 1 and self.id in self.siblings else ""

    def beside(self, by: int) -> int:
        """The id of the sibling ``by`` places on; 0 where there is none."""
        at = self.siblings.index(self.id) + by if self.id in self.siblings else -1
        return self.siblings[at] if 0 <= at < len(self.siblings) else 0

    def parts(self) -> tuple[str, str]:
        """The thoughts and the words of an answer. Only a model thinks: a row's words stay as they are."""
        return ("", self.text) if self.quoted or self.verb == "ask" else part(self.text)

    def footer(self) -> str:
        """One line under an answer: its place among its siblings, who said it, how fast, what was not computed again."""
        parts = [self.place] if self.place else []
        parts += [self.model] if self.model else ["quoted from the rows"] if self.quoted and self.found else []
        if rate := self.usage.get("rate"):
            parts.append(f"{rate:.0f} tok/s")
        if first := self.usage.get("first_token"):
            parts.append(f"first word after {first:.1f} s")
        if cached := self.usage.get("cached"):
            parts.append(f"{cached:,} of {self.usage.get('prompt_tokens', 0):,} tokens cached")
        ends = {"cancel": "stopped", "length": "cut at its longest", "error": "broken off"}
        if end := ends.get(self.usage.get("finish", "")):
            parts.append(end)
        return " · ".join(parts)
