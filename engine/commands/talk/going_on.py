"""Plain continuation: what a base model can do, and any model without its template."""

from __future__ import annotations

from dataclasses import asdict

from engine.commands.base import Desk, Field
from engine.commands.talk.speaking import Sampled
from engine.events import TokenDelta
from engine.results import Result


class Complete(Sampled):
    """Let a model go on with a text as it stands: no template, no conversation, nothing kept.

    This is what a base model (GPT-2, BLOOM, Falcon, …) can do. Control tokens in the text act.
    """

    verb = "complete"
    words = ("text",)
    raw = True
    examples = ("complete --model gpt2 --max-tokens 40 The heron stood at the water's edge and",)
    completes = {"model": "models"}

    text: str = Field(min_length=1, description="The beginning of the text")
    max_tokens: int = Field(128, ge=1, description="The longest continuation, in tokens")

    def run(self, desk: Desk) -> Result:
        written = ""
        with desk.models.use(self.model) as backend:
            for piece in backend.complete(self.text, self.sampled(), desk.cancel):
                written += piece
                desk.emit(TokenDelta(text=piece))
            return Result("", {"text": written, "model": backend.facts.name, "usage": asdict(backend.usage)})
