"""Plain continuation: what a base model can do, and any model without its template."""

from __future__ import annotations

from dataclasses import asdict

from engine.commands.base import Desk, Field, Now
from engine.events import TokenDelta
from engine.results import Result


class Complete(Now):
    """Let a model go on with a text as it stands: no template, no conversation, nothing kept.

    This is what a base model (GPT-2, BLOOM, Falcon, …) can do. Control tokens in the text act.
    """

    verb = "complete"
    effect = "compute"
    words = ("text",)
    rest = True
    raw = True
    streams = True
    examples = ("complete --model gpt2 --max-tokens 40 The heron stood at the water's edge and",)
    completes = {"model": "models"}

    text: str = Field(min_length=1, description="The beginning of the text")
    model: str = Field("", description="Which model (the one in use)")
    temperature: float = Field(0.7, ge=0, le=5, description="0 is greedy; higher is more various")
    top_p: float = Field(0.9, gt=0, le=1, description="Sample from the likeliest tokens that add up to this")
    top_k: int = Field(40, ge=0, description="Sample from so many likeliest tokens; 0 means all")
    min_p: float = Field(0.0, ge=0, lt=1, description="Leave out tokens less likely than this share of the likeliest")
    repetition_penalty: float = Field(1.05, gt=0, description="Over 1: repeat less")
    max_tokens: int = Field(128, ge=1, description="The longest continuation, in tokens")
    seed: int | None = Field(None, ge=0, description="The same seed gives the same text")
    stop: list[str] = Field([], description="Stop before any of these texts")

    def run(self, desk: Desk) -> Result:
        from engine.inference.protocol import Sampling

        sampling = Sampling(
            self.temperature, self.top_p, self.top_k, self.min_p, self.repetition_penalty, self.max_tokens, self.seed, stop=tuple(self.stop)
        )
        written = ""
        with desk.models.use(self.model) as backend:
            for piece in backend.complete(self.text, sampling, desk.cancel):
                written += piece
                desk.emit(TokenDelta(text=piece))
            return Result("", {"text": written, "model": backend.facts.name, "usage": asdict(backend.usage)})
