"""Models from this machine's disk: a transformers folder, a GGUF file, a PEFT adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError, NotFound
from engine.models.gguf_header import read_header
from engine.store.models import ModelRecord

if TYPE_CHECKING:
    from engine.store.workspace import Workspace


def read(workspace: Workspace, path: Path, name: str, source: str = "", revision: str = "") -> ModelRecord:
    """The record of the model at ``path``, whose files stay where they are. Nothing is loaded.

    Raises ``NotFound`` for a missing path; ``ModelError`` for a folder without a config or with pickled weights only.
    """
    if not path.exists():
        raise NotFound(f"There is no file or folder {path}.", "Give a folder with a config.json, a .gguf file, or a PEFT adapter's folder.")
    source = source or str(path)
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise ModelError(
                f"{path.name} is no model that can be used on its own.", "Give a .gguf file, or the folder that holds config.json and *.safetensors."
            )
        header = read_header(path)
        told = {"architecture": header.family, "quantisation": header.quantisation, "context": header.get("context_length") or None}
        if not header.template:
            told["chat_template"] = "none: it can't chat"
        return ModelRecord(
            name=name, kind="chat", source=source, revision=revision, gguf=str(path), bytes=path.stat().st_size,
            facts={key: value for key, value in told.items() if value},
        )  # fmt: skip
    if (path / "adapter_config.json").is_file():
        return _adapter(workspace, path, name, source, revision)
    gguf = sorted(path.glob("*.gguf"))
    if not (path / "config.json").is_file():
        if len(gguf) == 1:
            return read(workspace, gguf[0], name, source, revision)
        raise ModelError(f"{path} has no config.json.", "A transformers model's folder holds config.json, a tokenizer and *.safetensors.")
    if not list(path.glob("*.safetensors")):
        pickled = [file.name for file in path.iterdir() if file.suffix in (".bin", ".pt", ".pth", ".ckpt")]
        what = f"only pickled weights ({pickled[0]})" if pickled else "no *.safetensors"
        raise ModelError(f"{path} has {what}.", "Bittern loads safetensors alone: pickles can run code. Convert them where they come from.")
    config = _json(path / "config.json")
    facts: dict[str, Any] = {"architecture": (config.get("architectures") or ["unknown"])[0]}
    for key in ("max_position_embeddings", "n_positions"):
        if key in config:
            facts["context"] = config[key]
    if labels := config.get("id2label"):
        facts["labels"] = len(labels)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return ModelRecord(name=name, kind=_kind(path, config), source=source, revision=revision, folder=str(path), bytes=size, facts=facts)


def _kind(path: Path, config: dict[str, Any]) -> str:
    architecture = " ".join(config.get("architectures") or [])
    if "SequenceClassification" in architecture:
        return "classifier"
    if (path / "modules.json").is_file():
        return "encoder"
    return "chat" if "CausalLM" in architecture or "LMHead" in architecture else "encoder"


def _adapter(workspace: Workspace, path: Path, name: str, source: str, revision: str) -> ModelRecord:
    config = _json(path / "adapter_config.json")
    if not (path / "adapter_model.safetensors").is_file():
        raise ModelError(f"{path} has no adapter_model.safetensors.", "Save the adapter again with PEFT: it writes safetensors by default.")
    wanted = str(config.get("base_model_name_or_path", ""))
    models = workspace.models.all()
    base = next((model for model in models if wanted and wanted in (model.name, model.source, model.folder)), None)
    base = base or next(
        (
            model
            for model in models
            if wanted and model.kind == "chat" and Path(wanted).name.lower() in (model.source.lower(), Path(model.source).name.lower())
        ),
        None,
    )
    if base is None:
        raise ModelError(f"The adapter was made for “{wanted}”, which is not in this workspace.", f"Bring it first: pull {wanted}")
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return ModelRecord(
        name=name, kind="adapter", source=source, revision=revision, folder=str(path), base=base.name, bytes=size, facts={"rank": config.get("r")}
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read: {error}.", "Bring the model again: its files are damaged.") from None
    return found
