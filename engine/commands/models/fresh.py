"""The Command that makes a model to be trained: from nothing, or of one that is here with another vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.base import Desk, Field, Work
from engine.commands.models.catalogue import as_data
from engine.commands.naming import check_name
from engine.commands.system import human
from engine.errors import BitternError, ModelError
from engine.models.fresh import Family, Layout, Size
from engine.results import Result

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.models import ModelRecord


class New(Work):
    """Make a model with the vocabulary of a tokenizer: with random weights, or with those of a model that is here (--base).

    With random weights it knows nothing yet: `train NAME --on DATASET` teaches it, every weight of it. With --base the
    layers stay, and each new token begins as the mean of what its text was before: it knows less than it did until it is
    trained. A tokenizer that was trained with --chat gives it the form of a conversation; bert becomes a classifier, t5 writes one text from another.
    """

    verb = "new"
    effect = "compute"
    words = ("name",)
    completes = {"tokenizer": "models", "base": "models"}
    examples = (
        "new heron --tokenizer tickets-bpe",
        "new heron --tokenizer tickets-bpe --like gpt2 --size small",
        "new sorter --tokenizer words --like bert",
        "new terse --tokenizer tickets-bpe --base smollm2",
    )
    pauses = False

    name: str = Field(description="What the model is called")
    tokenizer: str = Field(description="Whose vocabulary: a tokenizer (train-tokenizer makes one), or a model's")
    base: str = Field("", description="A chat model whose layers it has; left open, random ones")
    like: Family = Field("llama", description="The family whose layout it has")
    size: Size = Field("tiny", description="tiny: 4 layers, 128 wide; small: 8, 256; medium: 12, 512")
    layers: int | None = Field(None, ge=1, le=200, description="So many layers instead of the size's")
    width: int | None = Field(None, ge=64, le=16_384, multiple_of=64, description="So wide instead of the size's, a multiple of 64")
    context: int | None = Field(None, ge=16, le=1_000_000, description="The longest text in tokens (512, 1,024, 2,048)")
    seed: int = Field(0, ge=0, description="Decides the weights")

    def title(self) -> str:
        return f"new {self.name} from {self.base}" if self.base else f"new {self.like} {self.name}"

    @property
    def layout(self) -> Layout:
        from engine.models.fresh import SIZES

        layers, width, context = SIZES[self.size]
        return Layout(self.like, self.layers or layers, self.width or width, self.context or context)

    def prepare(self, desk: Desk) -> New:
        from engine.devices import memory
        from engine.models.tokens import tokenizer_of

        check_name("model", self.name)
        models = desk.workspace.models
        if (there := models.find(self.name)) is not None:
            raise ModelError(f"There is a {there.kind} called “{self.name}” already.", "Choose another name.")
        record, _ = tokenizer_of(desk.workspace, self.tokenizer)
        if self.base:
            return self._on(models.get(self.base), record)
        _check(self.like, record)
        # Of a model's own tokenizer the vocabulary is not known yet: a usual one is near enough for this question.
        need = 4 * self.layout.parameters(int(record.facts.get("vocabulary", 50_000)))
        if need > (free := memory().free):
            raise ModelError(f"Its weights alone would take {human(need)}; {human(free)} are free.", "Choose a smaller --size, --layers or --width.")
        return self.model_copy(update={"tokenizer": record.name})  # an adapter's is its base's

    def _on(self, base: ModelRecord, tokenizer: ModelRecord) -> New:
        """What is known before ``base`` gets another vocabulary. Raises ``BitternError``."""
        from engine.devices import memory

        if given := self.model_fields_set & {"like", "size", "layers", "width", "context", "seed"}:
            raise BitternError(f"--{min(given)} is for random weights: {base.name} has a layout already.", "Leave it out, or leave out --base.")
        if base.kind != "chat":
            raise ModelError(
                f"“{base.name}” is of the kind {base.kind}: only a chat model gets another vocabulary.",
                f"merge {base.name} --name NAME makes a whole model of an adapter." if base.beneath else "`models` lists the chat models.",
            )
        _check("llama", tokenizer)
        if base.bytes > (free := memory().free):
            raise ModelError(f"Its weights take {human(base.bytes)}; {human(free)} are free.", "Choose a smaller model.")
        return self.model_copy(update={"tokenizer": tokenizer.name})

    def work(self, job: JobContext) -> Result:
        if self.base:
            return self._exchanged(job)
        from engine.models.fresh import make

        record = make(job, job.workspace.models.get(self.tokenizer), self.layout, self.name, self.seed)
        told = f"{self.name}: a {self.like} of {record.facts['parameters']} random weights. Teach it: train {self.name} --on DATASET"
        return Result(told, as_data(record), opens=f"model:{self.name}")

    def _exchanged(self, job: JobContext) -> Result:
        from engine.models.vocabulary import exchange

        models = job.workspace.models
        record = exchange(job, models.get(self.base), models.get(self.tokenizer), self.name)
        kept, count = record.facts["tokens_kept"], record.facts["vocabulary"]
        told = f"{self.name}: {self.base} with {count:,} tokens, {kept:,} of them as they were. Teach it the others: train {self.name} --on DATASET"
        return Result(told, as_data(record), opens=f"model:{self.name}")


def _check(family: Family, record: ModelRecord) -> None:
    """What is known before anything is queued: a tokenizer of ours says what it has. Raises ``ModelError``."""
    from engine.models.fresh import check

    if record.kind == "tokenizer":
        config = json.loads((Path(record.folder) / "tokenizer_config.json").read_text("utf-8"))
        check(family, config.get("eos_token"), config.get("cls_token"), record.name)
