"""The Command that joins adapters with their base, or with each other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.base import Desk, Field, Work
from engine.commands.naming import check_name
from engine.errors import BitternError, ModelError
from engine.models.merge import How, check_joinable
from engine.results import Result

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.store.models import ModelRecord


class Merge(Work):
    """Join an adapter with its base into a whole model, or several adapters of one base, with weights.

    A whole model comes out; with --adapter one adapter on the same base. `cat` is exactly the weighted sum of what they add,
    at the sum of their ranks; `svd` is near it at the largest; `linear` mixes their matrices apart (same ranks);
    `ties` and `dare_…` drop small or random parts first. What goes in stays as it is.
    """

    verb = "merge"
    effect = "compute"
    words = ("models",)
    rest = True
    examples = ("merge smollm2-tickets --name tickets", "merge polite brief --weights 0.7,0.3 --how cat --adapter --name both")
    completes = {"models": "models"}
    pauses = False

    models: str = Field(min_length=1, description="The adapters, with spaces between them")
    name: str = Field(min_length=1, description="What the new model is called")
    weights: list[float] = Field([], description="How much of each adapter (1 of each)")
    how: How = Field("cat", description="How several are joined")
    adapter: bool = Field(False, description="Make an adapter of it, and no whole model")

    def title(self) -> str:
        return f"merge {self.models} into {self.name}"

    def prepare(self, desk: Desk) -> Merge:
        check_name("model", self.name)
        if desk.workspace.models.find(self.name) is not None:
            raise BitternError(f"There is a model called “{self.name}” already.", "Choose another with --name.")
        records = [desk.workspace.models.get(name) for name in self.models.split()]
        if other := next((record for record in records if record.kind != "adapter"), None):
            raise ModelError(f"“{other.name}” is a {other.kind} model, and no adapter.", "Merge what was trained with --method lora.")
        if len({record.base for record in records}) > 1:
            raise ModelError(
                f"These adapters have different bases: {', '.join(f'{record.name} on {record.base}' for record in records)}.", "Join those of one."
            )
        if self.weights and len(self.weights) != len(records):
            raise ModelError(f"{len(records)} adapters, and {len(self.weights)} weights.", "Give one weight for each, with commas.")
        if len(records) > 1:
            check_joinable([Path(record.folder) for record in records])
        if self.weights and len(records) == 1:
            raise ModelError("A single adapter is merged as it is.", "Leave --weights out.")
        return self

    def work(self, job: JobContext) -> Result:
        from engine.models.convert import trainable_folder
        from engine.models.merge import into_base, into_one
        from engine.paths import replace_folder

        records = [job.workspace.models.get(name) for name in self.models.split()]
        base = job.workspace.models.get(records[0].base)
        weights = self.weights or [1.0] * len(records)
        job.progress(0, None, "model", "joining the weights")
        final = job.workspace.paths.models / self.name
        temporary = job.workspace.paths.models / f".merging-{self.name}-{job.id}"
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            write = into_one if self.adapter else into_base
            write(trainable_folder(job, base), [Path(record.folder) for record in records], weights, self.how, temporary)
            job.check()
            replace_folder(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        record = self._record(records, weights, final)
        job.workspace.models.put(record)
        job.changed("models", self.name)
        data = {
            "model": self.name,
            "kind": record.kind,
            "base": base.name,
            "from": [one.name for one in records],
            "weights": weights,
            "how": self.how,
        }
        return Result(f"{self.name}: {record.kind}, {record.source}.", data, opens=f"model:{self.name}")

    def _record(self, records: list[ModelRecord], weights: list[float], folder: Path) -> ModelRecord:
        from engine.store.models import ModelRecord

        parts = ", ".join(
            f"{weight:g} of {record.name}" if len(records) > 1 else record.name for record, weight in zip(records, weights, strict=True)
        )
        return ModelRecord(
            name=self.name, kind="adapter" if self.adapter else "chat", source=f"merged from {parts} ({self.how})" if len(records) > 1 else f"merged from {parts}",
            bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()), folder=str(folder), base=records[0].base,
            facts={"merged": [record.name for record in records], "weights": weights, **({"how": self.how} if len(records) > 1 else {})},
        )  # fmt: skip
