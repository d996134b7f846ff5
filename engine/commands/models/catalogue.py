"""Commands about models: list, bring, choose."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now, Work
from engine.commands.naming import check_name, slug
from engine.commands.system import human
from engine.errors import ModelError, NotFound
from engine.events import CatalogChanged
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.hub.choose import Choice
    from engine.jobs.context import JobContext
    from engine.store.models import ModelRecord


def as_data(record: ModelRecord) -> dict[str, Any]:
    """A model as the stable JSON of ``--json``."""
    return {
        "model": record.name, "kind": record.kind, "source": record.source, "revision": record.revision, "base": record.base or None,
        "gguf": record.gguf or None, "folder": record.folder or None, "bytes": record.bytes, "facts": record.facts, "created": record.created,
    }  # fmt: skip


class Models(Now):
    """List the models in this workspace: chat models, encoders, classifiers and adapters."""

    verb = "models"
    examples = ("models",)

    def run(self, desk: Desk) -> Result:
        found = desk.workspace.models.all()
        if not found:
            return Result("There are no models yet. `setup` brings the starter; `pull` brings one from a folder or the Hub.", {"models": []})
        used = desk.workspace.recall("model")
        rows = [
            [
                f"{record.name}{' *' if record.name == used else ''}",
                record.kind,
                "a server" if record.kind == "endpoint" else "llama.cpp" if record.gguf else "transformers",
                human(record.bytes) if record.bytes else "",
                (record.base or record.source) + _at(record),
            ]
            for record in found
        ]
        return Result(
            f"{len(found)} model{'' if len(found) == 1 else 's'}.",
            {"models": [as_data(record) for record in found], "in_use": used},
            Table(["model", "kind", "runs on", "size", "from"], rows),
        )


class Pull(Work):
    """Bring a model: a starter (smollm2, minilm), a local folder or GGUF file, a PEFT adapter, or a Hub id.

    Weights are safetensors or GGUF, never pickles. Local files stay where they are.
    """

    verb = "pull"
    effect = "network"
    slot = "io"
    where = "thread"
    words = ("source",)
    examples = (
        "pull smollm2",
        "pull ~/models/mine --name mine",
        "pull HuggingFaceTB/SmolLM2-360M-Instruct",
        "pull bartowski/SmolLM2-360M-Instruct-GGUF --quantisation Q8_0",
    )
    completes = {"source": "files"}

    source: str = Field(description="A starter's name, a folder, a .gguf file, or organisation/name on the Hub")
    name: str = Field("", description="What it is called here")
    revision: str = Field("", description="A Hub revision: a branch, a tag or a commit")
    file: str = Field("", description="Of a Hub repository: the weights to take, by the file's name")
    quantisation: str = Field("", description="Of a Hub repository with GGUF files: which quantisation, such as Q4_K_M")

    def prepare(self, desk: Desk) -> Pull:
        from engine.hub.pull import is_repository
        from engine.models.local import read
        from engine.models.starter import STARTERS

        if self.source in STARTERS and not Path(self.source).exists():
            # A starter goes by its own name: other things of the house look for it.
            return self.model_copy(update={"name": ""})
        name = self.name or slug(Path(self.source).expanduser().resolve().stem if not is_repository(self.source) else self.source.split("/")[1])
        check_name("model", name)
        if is_repository(self.source):
            self._is_free(desk, name, self.source)
            return self.model_copy(update={"name": name})
        path = Path(self.source).expanduser().resolve()
        if not path.exists():
            raise NotFound.named(
                "model or path",
                self.source,
                [*STARTERS, *_near(path)],
                "Give a starter (smollm2, minilm), a folder, a .gguf file, or organisation/name; `find` searches the Hub.",
            )
        if self.file or self.quantisation or self.revision:
            raise ModelError(f"{path} is on this disk: there is nothing to choose.", "--file, --quantisation and --revision are for the Hub.")
        self._is_free(desk, name, str(path))
        read(desk.workspace, path, name)  # Says now what would be wrong later.
        return self.model_copy(update={"source": str(path), "name": name})

    def _is_free(self, desk: Desk, name: str, source: str) -> None:
        """The same model may be pulled again under its name; another one would push it out."""
        found = desk.workspace.models.find(name)
        if found is not None and found.source != source:
            taken, number = set(desk.workspace.models.names()), 2
            while f"{name}-{number}" in taken:
                number += 1
            raise ModelError(f"“{name}” is already a model, from {found.source}.", f"Give this one another name: --name {name}-{number}")

    def work(self, job: JobContext) -> Result:
        from engine.hub.pull import is_repository
        from engine.models.local import read
        from engine.models.starter import STARTERS, fetch

        if self.source in STARTERS and not self.name:
            record = fetch(job, self.source)
        elif is_repository(self.source):
            record = self._from_hub(job)
            job.workspace.models.put(record)
        else:
            record = read(job.workspace, Path(self.source), self.name)
            job.workspace.models.put(record)
        if record.kind == "chat" and not job.workspace.recall("model"):
            job.workspace.remember("model", record.name)
            job.changed("settings", "model")
        job.changed("models", record.name)
        return Result(f"{record.name}: {record.kind}, {human(record.bytes)}{_at(record)}.", as_data(record), opens=f"model:{record.name}")

    def _from_hub(self, job: JobContext) -> ModelRecord:
        from engine.devices import memory
        from engine.hub.pull import pull
        from engine.models.local import base_of, from_folder, from_gguf, read

        def look_first(folder: Path, choice: Choice) -> None:
            if "adapter_config.json" in choice.files:
                base_of(job.workspace, folder)  # An adapter without its base is of no use: said before its weights come.

        pulled = pull(job, self.source, self.revision, self.file, self.quantisation, memory().free, look_first)
        choice, listed = pulled.choice, pulled.repository.found
        if choice.gguf:
            mmproj = str(pulled.folder / choice.mmproj) if choice.mmproj else ""
            record = from_gguf(pulled.folder / choice.gguf, self.name, self.source, pulled.revision, mmproj)
        elif "adapter_config.json" in choice.files:
            record = read(job.workspace, pulled.folder, self.name, self.source, pulled.revision)
        else:
            record = from_folder(pulled.folder, self.name, self.source, pulled.revision)
        told = {"licence": listed.licence, "quantisation": choice.quantisation}
        size = sum(pulled.repository.sizes[name] for name in choice.files)
        return replace(record, bytes=size, facts={**record.facts, **{name: value for name, value in told.items() if value}})


class Use(Now):
    """Choose the model that answers, the encoder that datasets are indexed with, or the dataset that is asked."""

    verb = "use"
    effect = "write"
    words = ("name",)
    examples = ("use smollm2", "use guide", "use minilm-tickets")
    completes = {"name": "models"}

    name: str = Field(description="A model's or a dataset's name")

    def run(self, desk: Desk) -> Result:
        workspace = desk.workspace
        if (model := workspace.models.find(self.name)) and model.kind == "encoder":
            return self._embeds(desk, model)
        if model:
            kind, record = "model", desk.models.record(self.name).name
        elif workspace.datasets.find(self.name):
            kind, record = "dataset", self.name
        else:
            raise NotFound.named(
                "model or dataset", self.name, [*workspace.models.names(), *workspace.datasets.names()], "`models` and `datasets` list what is here."
            )
        workspace.remember(kind, record)
        desk.publish(CatalogChanged(what="settings", name=kind))
        # It opens nothing: what is typed next is said to it.
        return Result(f"{record} is the {kind} in use now.", {kind: record})

    def _embeds(self, desk: Desk, model: ModelRecord) -> Result:
        """Indexes that stand keep the encoder that they were made with: a question is always encoded as its index was."""
        desk.workspace.remember("encoder", model.name)
        desk.publish(CatalogChanged(what="settings", name="encoder"))
        others = [name for name in desk.workspace.datasets.names() if (at := desk.workspace.indexes.find(name)) and at.encoder != model.name]
        told = f" Indexed with another, until they are indexed again: {', '.join(others)}." if others else ""
        return Result(f"{model.name} is the encoder that `index` uses now.{told}", {"encoder": model.name, "other_indexes": others})


def _at(record: ModelRecord) -> str:
    """The commit that a model of the Hub was pulled at, shortened as git does."""
    return f" @{record.revision[:7]}" if re.fullmatch(r"[0-9a-f]{40}", record.revision) else ""


def _near(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []
