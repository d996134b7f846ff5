"""What was measured to be the fastest way to run a model on this machine, remembered for each use."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from engine.settings import Settings
    from engine.store.models import ModelRecord
    from engine.store.workspace import Workspace

Use = Literal["chat", "batch"]
USES: tuple[Use, ...] = ("chat", "batch")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a GGUF: which file, its weights' type, on how many threads."""

    gguf: str
    quantisation: str
    threads: int


def remember(workspace: Workspace, model: ModelRecord, use: Use, way: Way) -> None:
    """Keep ``way`` for ``model``, made from the file that its record names now."""
    workspace.remember(_key(model.name, use), json.dumps({"from": model.gguf, **asdict(way)}))


def forget(workspace: Workspace, model: ModelRecord) -> list[Use]:
    """Take back what was remembered; returns for which uses there was something."""
    had = [use for use in USES if workspace.recall(_key(model.name, use))]
    for use in had:
        workspace.remember(_key(model.name, use), "")
    return had


def fastest(workspace: Workspace, model: ModelRecord, use: Use = "chat") -> Way | None:
    """What was remembered, where its file is still there and made from the model's present one."""
    text = workspace.recall(_key(model.name, use))
    if not text:
        return None
    found = json.loads(text)
    if found.pop("from") != model.gguf or not Path(found["gguf"]).is_file():
        return None
    return Way(**found)


def applied(record: ModelRecord, settings: Settings, way: Way) -> tuple[ModelRecord, Settings]:
    """The record and the settings that run a model in this way. Threads that a person set go before."""
    facts = {**record.facts, "quantisation": way.quantisation}
    return replace(record, gguf=way.gguf, facts=facts), settings.model_copy(update={"threads": settings.threads or way.threads})


def _key(model: str, use: Use) -> str:
    return f"fastest:{use}:{model}"
