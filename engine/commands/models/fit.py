"""How much memory a model needs, before it is loaded or trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from engine.commands.base import Desk, Field, Now
from engine.commands.system import human
from engine.errors import BitternError, ModelError
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.commands.training.train import Train
    from engine.devices import Memory
    from engine.models.estimate import Sized
    from engine.models.fit import Fit
    from engine.models.learned import Correction
    from engine.store.workspace import Workspace

WORDS = {
    "weights": "weights", "kv_cache": "keys and values", "activations": "activations", "gradients": "gradients", "optimizer": "optimiser",
    "runtime": "the process itself",
}  # fmt: skip


class FitCommand(Now):
    """Say how much memory a model needs to chat or to be trained, term by term, and whether this machine has it.

    Counted from the config alone, nothing is loaded; corrected by what jobs on this machine really took. Also for a
    folder with a config.json, a .gguf file, or a size such as 7b.
    """

    verb = "fit"
    words = ("model",)
    examples = ("fit smollm2", "fit smollm2 --train --method full --batch-size 4", "fit 7b --dtype Q4_0 --context 8192")
    completes = {"model": "models"}

    model: str = Field(description="A model's name, a folder, a config.json, a .gguf file, or a size such as 7b")
    train: bool = Field(False, description="For training it, and not for chatting with it")
    method: Literal["lora", "dora", "rslora", "ia3", "prompt", "full", "qlora"] = Field("lora", description="How it learns; qlora is lora on 4bit")
    quantise: Literal["none", "8bit", "4bit"] = Field("none", description="Of a training: bits of the frozen base")
    batch_size: int = Field(8, ge=1, description="Rows in one forward pass")
    max_length: int = Field(512, ge=8, description="Longest row of a training, in tokens")
    rank: int = Field(8, ge=1, description="LoRA's rank")
    optimizer: str = Field("adamw", description="adamw, adamw_8bit, adafactor, sgd, lion, …")
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="Of a training: bf16 where this machine has it")
    checkpointing: bool = Field(False, description="Activations are computed again instead of kept")
    context: int = Field(0, ge=0, description="Tokens that a conversation may have (the setting of this workspace)")
    dtype: str = Field("", description="float32, bfloat16, Q8_0, Q4_0, nf4, … (what the files have)")

    def run(self, desk: Desk) -> Result:
        from engine.devices import gpu_memory, memory
        from engine.models.estimate import sized
        from engine.models.fit import verdict
        from engine.models.learned import correction

        workspace = desk.workspace
        model = sized(workspace, self.model)
        found = self._fit(model, workspace.settings.context)
        learnt = correction(workspace, found.purpose, found.terms["runtime"])
        # What llama.cpp takes is mapped from its file, and not learnt from torch's processes.
        need = found.total if found.settings.get("backend") == "llamacpp" else learnt.of(found)
        places = [memory(), *gpu_memory()]
        most = max(places[1:] or places, key=lambda place: place.free)
        said = verdict(need, most.free)
        advice = self._advice(model, learnt, most.free) if said != "fits" else ""
        data = {
            "model": self.model, **found.as_dict(), "corrected": need, "learned_from": learnt.jobs, "usual_error": learnt.error,
            "memory": [{"name": place.name, "total": place.total, "free": place.free} for place in places], "verdict": said, "advice": advice,
            "measured": self._measured(desk, found),
        }  # fmt: skip
        what = f"train {self.model} ({_settings(found)})" if self.train else f"chat with {self.model} ({_settings(found)})"
        summary = f"To {what}: {human(need)}, {human(most.free)} {most.name} free: {said}." + (f" {advice}" if advice else "")
        return Result(summary, data, self._table(found, need, learnt, places, data["measured"]))

    def _fit(self, model: Sized, usual: int, **changes: Any) -> Fit:
        from engine.models.estimate import loaded_dtype, precision
        from engine.models.fit import OPTIMIZERS, training

        asked = self.model_copy(update=changes)
        try:
            if not self.train:
                dtype = asked.dtype or ("" if model.gguf else loaded_dtype(stored=model.dtype))
                return model.inference(context=asked.context or usual, dtype=dtype)
            if asked.optimizer not in OPTIMIZERS:
                raise ValueError(f"“{asked.optimizer}” is no optimiser: {', '.join(OPTIMIZERS)}")
        except ValueError as error:
            raise ModelError(f"{error}.", "`help fit` lists what can be given.") from None
        return training(
            model.shape, method=asked.method, batch_size=asked.batch_size, max_length=asked.max_length, rank=asked.rank,
            optimizer=asked.optimizer, precision=precision() if asked.precision == "auto" else asked.precision, checkpointing=asked.checkpointing,
            frozen={"4bit": "nf4", "8bit": "int8"}.get(asked.quantise) or ("float32" if asked.method == "dora" else ""),
        )  # fmt: skip

    def _advice(self, model: Sized, learnt: Correction, free: int) -> str:
        """The least change with which it fits, found by trying."""
        from engine.models.fit import verdict

        smaller = [
            {"batch_size": size} for size in (self.batch_size // 2, self.batch_size // 4, self.batch_size // 8, 1) if 0 < size < self.batch_size
        ]
        adapter = (
            [{"method": "lora"}] if self.method == "full" else [] if self.quantise != "none" or self.method == "qlora" else [{"quantise": "4bit"}]
        )
        tries: list[dict[str, Any]] = (
            [*smaller, {"checkpointing": True}, {"checkpointing": True, "batch_size": 1}, *adapter, *({**change, "batch_size": 1} for change in adapter)]
            if self.train
            else [{"context": context} for context in (4096, 2048, 1024)] + [{"dtype": dtype} for dtype in ("Q8_0", "Q4_0")]
            + [{"dtype": "Q4_0", "context": 2048}]
        )  # fmt: skip
        for change in tries:
            found = self._fit(model, 4096, **change)
            if verdict(need := learnt.of(found), free) == "fits":
                flags = " ".join(f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}") for name, value in change.items())
                return f"It fits with {flags} ({human(need)})."
        return f"No {'batch or method' if self.train else 'context or quantisation'} makes it fit: choose a smaller model."

    def _measured(self, desk: Desk, found: Fit) -> list[dict[str, Any]]:
        """The last jobs on this model: what was expected, what was measured."""
        return [
            {"job": record.job, "expected": record.corrected, "predicted": record.predicted, "measured": record.measured, "settings": record.settings}
            for record in desk.workspace.peaks.known(found.purpose)
            if record.model == self.model
        ][:5]

    def _table(self, found: Fit, need: int, learnt: Correction, places: list[Memory], measured: list[dict[str, Any]]) -> Table:
        counted = "" if found.exact else " (a guess: its layout was not checked)"
        about = {"weights": f"{found.parameters:,} parameters{counted}", "gradients": f"{found.trainable:,} that learn"}
        rows = [[WORDS[name], human(size), about.get(name, "")] for name, size in found.terms.items()]
        rows.append(["by the config", human(found.total), ""])
        if found.settings.get("backend") != "llamacpp":
            usual = f", usually {100 * learnt.error:.0f}% off" if learnt.error is not None else ""
            rows.append(
                ["expected here", human(need), f"corrected by {learnt.jobs} jobs{usual}" if learnt.jobs else "no job has been measured here yet"]
            )
        rows += [
            [f"free {place.name}", human(place.free), f"of {human(place.total)}" + ("" if place.name == "RAM" else "; GPUs are untested")]
            for place in places
        ]
        rows += [[f"job {job['job']}", human(job["measured"]), f"measured; {human(job['expected'])} was expected"] for job in measured]
        return Table(["memory", "size", "about"], rows)


def lines_of(workspace: Workspace, name: str) -> list[tuple[str, str]]:
    """What a model needs to chat and to be trained, in two lines for a list of facts. Empty where it is not known."""
    from engine.devices import memory
    from engine.models.estimate import loaded_dtype, of_record, precision
    from engine.models.fit import training, verdict
    from engine.models.learned import correction

    try:
        record = workspace.models.get(name)
        model, free = of_record(workspace, record), memory().free
        chat = model.inference(context=workspace.settings.context, dtype="" if model.gguf else loaded_dtype(stored=model.dtype))
        need = chat.total if model.gguf else correction(workspace, chat.purpose, chat.terms["runtime"]).of(chat)
        told = [("memory to load", f"{human(need)}, {human(free)} free: {verdict(need, free)}")]
        if record.kind != "adapter":
            method = "lora" if record.kind == "chat" else "full"
            train = training(model.shape, method=method, precision=precision(), max_length=512 if method == "lora" else 128)
            need = correction(workspace, train.purpose, train.terms["runtime"]).of(train)
            told.append(("memory to train", f"{human(need)} at most ({_settings(train)}): {verdict(need, free)}"))
    except (BitternError, ValueError):
        return []
    return told


def line_of(workspace: Workspace, command: Train) -> str:
    """What a training that is being filled in will need, in a line; empty where that can't be said yet."""
    from engine.models.fit import verdict
    from engine.models.learned import correction
    from engine.training.memory import fit_of, room

    try:
        found = fit_of(workspace, command.chosen(workspace).spec(workspace.datasets.get(command.on)))
    except (BitternError, ValueError):
        return ""
    need, free = correction(workspace, found.purpose, found.terms["runtime"]).of(found), room()
    return f"Memory: at most {human(need)} ({_settings(found)}), {human(free)} free: {verdict(need, free)}."


def _settings(found: Fit) -> str:
    values = found.settings
    if found.purpose == "inference":
        return f"{values['dtype']}, {values['context']} tokens"
    return f"{values['method']}, {values['batch_size']} × {values['max_length']} tokens, {values['precision']}"
