"""Models from this machine's disk: a transformers folder, a GGUF file, a PEFT adapter."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError, NotFound, Repair
from engine.models import tensors
from engine.models.gguf_header import Header, read_header
from engine.models.sight import sees, without_eyes
from engine.store.models import ModelRecord

if TYPE_CHECKING:
    from engine.store.workspace import Workspace

TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "tokenizer_config.json",
)
SENSES = ("preprocessor_config.json", "processor_config.json", "feature_extractor_config.json")
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


def read(workspace: Workspace, path: Path, name: str, source: str = "", revision: str = "") -> ModelRecord:
    """The record of the model at ``path``, whose files stay where they are. Headers are read; nothing is loaded.

    Raises ``NotFound`` for a missing path; ``ModelError`` for a folder without a config or tokenizer, with pickled
    weights only, and for files that are damaged or cut off.
    """
    if not path.exists():
        raise NotFound(f"There is no file or folder {path}.", "Give a folder with a config.json, a .gguf file, or a PEFT adapter's folder.")
    source = source or str(path)
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise ModelError(
                f"{path.name} is no model that can be used on its own.", "Give a .gguf file, or the folder that holds config.json and *.safetensors."
            )
        return from_gguf(path, name, source, revision)
    if (path / "adapter_config.json").is_file():
        return _adapter(workspace, path, name, source, revision)
    if not (path / "config.json").is_file():
        return _only_gguf(path, name, source, revision)
    return from_folder(path, name, source, revision)


def from_folder(path: Path, name: str, source: str, revision: str = "") -> ModelRecord:
    """The record of a transformers folder. Raises ``ModelError``."""
    weights = list(path.glob("*.safetensors"))
    if not weights:
        if list(path.glob("*.gguf")):
            return _only_gguf(path, name, source, revision)
        pickled = [file.name for file in path.iterdir() if file.suffix in (".bin", ".pt", ".pth", ".ckpt")]
        what = f"only pickled weights ({pickled[0]})" if pickled else "no *.safetensors"
        raise ModelError(f"{path} has {what}.", "Bittern loads safetensors alone: pickles can run code. Convert them where they come from.")
    config = _json(path / "config.json")
    tensors.check_folder(path)
    if not any((path / file).is_file() for file in (*TOKENIZERS, *SENSES)) and not list(path.glob("*.tiktoken")):
        raise ModelError(f"{path} has no tokenizer.", "Put tokenizer.json (or tokenizer.model, vocab.txt) of the model beside its weights.")
    facts: dict[str, Any] = {"architecture": (config.get("architectures") or ["unknown"])[0]}
    for key in ("max_position_embeddings", "n_positions"):
        for part in (config.get("text_config") or {}, config):
            if key in part:
                facts["context"] = part[key]
    if sees(config):
        missing = without_eyes(path)
        facts["sees"] = f"no: {missing}" if missing else "pictures"
    if labels := config.get("id2label"):
        facts["labels"] = len(labels)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return ModelRecord(name=name, kind=_kind(path, config), source=source, revision=revision, folder=str(path), bytes=size, facts=facts)


def from_gguf(path: Path, name: str, source: str, revision: str = "", mmproj: str = "") -> ModelRecord:
    """The record of a GGUF file, of its first part where it has several; ``mmproj`` is the projector of a model that
    sees, by default the one beside it. Raises ``ModelError``."""
    parts = [path]
    if match := _PART.search(path.name):
        stem, count = path.name[: match.start()], int(match[2])
        parts = [path.with_name(f"{stem}-{number:05}-of-{count:05}.gguf") for number in range(1, count + 1)]
        if missing := next((part for part in parts if not part.is_file()), None):
            raise ModelError(f"{missing} is missing: the model has {count} parts.", "Bring all of them into one folder.")
    found = [read_header(part) for part in parts]
    if found[0].family == "clip":
        raise ModelError(
            f"{path} is the projector of a model that sees, and no model.", "Give the model's own .gguf file; the projector is found beside it."
        )
    beside = sorted(path.parent.glob("*mmproj*.gguf"))
    mmproj = mmproj or (str(beside[0]) if len(beside) == 1 else "")
    if mmproj:
        read_header(Path(mmproj))
    facts = _gguf_facts(found) | ({"mmproj": mmproj} if mmproj else {})
    files = [*parts, *([Path(mmproj)] if mmproj else [])]
    size = sum(file.stat().st_size for file in files)
    return ModelRecord(name=name, kind="chat", source=source, revision=revision, gguf=str(parts[0]), bytes=size, facts=facts)


def _gguf_facts(parts: list[Header]) -> dict[str, Any]:
    first = parts[0]
    shapes = [dimensions for part in parts for dimensions, _ in part.tensors.values()]
    count = sum(math.prod(shape) for shape in shapes)
    told = {
        "architecture": first.family,
        "parameters": f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.0f}M" if count >= 1e6 else "",
        "quantisation": max(parts, key=lambda part: len(part.tensors)).quantisation,
        "context": first.get("context_length") or None,
        "chat_template": "" if first.template else "none: it can't chat",
    }
    return {key: value for key, value in told.items() if value}


def _only_gguf(path: Path, name: str, source: str, revision: str) -> ModelRecord:
    """A folder that holds one GGUF model and no transformers one."""
    models = [file for file in sorted(path.glob("*.gguf")) if "mmproj" not in file.name.lower()]
    first = [file for file in models if (match := _PART.search(file.name)) is None or int(match[1]) == 1]
    if len(first) == 1:
        return from_gguf(first[0], name, source, revision)
    if first:
        raise ModelError(f"{path} has {len(first)} GGUF models: {', '.join(file.name for file in first[:5])}.", "Give the file of one of them.")
    if models:
        raise ModelError(f"{path} has parts of a GGUF model, but not the first.", "Bring all of them into one folder.")
    raise ModelError(f"{path} has no config.json.", "A transformers model's folder holds config.json, a tokenizer and *.safetensors.")


def _kind(path: Path, config: dict[str, Any]) -> str:
    architecture = " ".join(config.get("architectures") or [])
    if "TokenClassification" in architecture:
        return "tagger"
    if "SequenceClassification" in architecture:
        # A head that says one thing, and not which: a cross-encoder's. As shares of a whole it would always be all of it.
        usual = "reranker" if len(config.get("id2label") or ()) == 1 else "classifier"
        return {"multi_label_classification": "multilabel", "regression": "regressor"}.get(str(config.get("problem_type")), usual)
    if (path / "modules.json").is_file():
        return "encoder"
    if config.get("is_encoder_decoder") and not sees(config) and "num_mel_bins" not in config:
        return "seq2seq"
    return "chat" if "CausalLM" in architecture or "LMHead" in architecture or sees(config) else "encoder"


def base_of(workspace: Workspace, path: Path) -> ModelRecord:
    """The model in the workspace that the adapter in ``path`` was made for. Raises ``ModelError``."""
    wanted = str(_json(path / "adapter_config.json").get("base_model_name_or_path") or "")
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
        if not wanted:
            raise ModelError(f"{path / 'adapter_config.json'} does not say which model the adapter was made for.", "Ask whoever made it.")
        raise ModelError(
            f"The adapter was made for “{wanted}”, which is not in this workspace.",
            f"Bring it first: pull {wanted}",
            [Repair("bring its base", f"pull {wanted}")],
        )
    return base


def _adapter(workspace: Workspace, path: Path, name: str, source: str, revision: str) -> ModelRecord:
    config = _json(path / "adapter_config.json")
    weights = path / "adapter_model.safetensors"
    if not weights.is_file():
        raise ModelError(f"{path} has no adapter_model.safetensors.", "Save the adapter again with PEFT: it writes safetensors by default.")
    base = base_of(workspace, path)
    _fits(tensors.header(weights), base, path)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    facts = {"rank": config.get("r"), "made for": config.get("base_model_name_or_path")}
    return ModelRecord(name=name, kind="adapter", source=source, revision=revision, folder=str(path), base=base.name, bytes=size, facts=facts)


def _fits(matrices: dict[str, dict[str, Any]], base: ModelRecord, path: Path) -> None:
    """Compare an adapter's LoRA matrices with the modules of its base, by their headers. Raises ``ModelError``.

    Of a base that is a GGUF alone nothing is compared: its tensors go by other names.
    """
    if not base.folder or not Path(base.folder).is_dir():
        return
    theirs = tensors.Tensors(Path(base.folder))
    for key, value in matrices.items():
        if not (match := re.match(r"base_model\.model\.(.+)\.lora_([AB])(?:\.\w+)?\.weight$", key)):
            continue
        tail = (match[1].partition(".")[2] or match[1]) + ".weight"
        shape = next((theirs.shape(name) for name in theirs.names() if name.endswith(tail)), None)
        # LoRA's A is rank × inputs, its B outputs × rank; a module's own weight has both widths, in either order.
        width = value.get("shape", [0, 0])[1 if match[2] == "A" else 0]
        wrong = f"has no {match[1]}" if shape is None else f"has a {match[1]} of {' × '.join(map(str, shape))}, and the adapter one of {width}"
        if shape is None or width not in shape:
            raise ModelError(
                f"The adapter in {path} was not made for {base.name}: {base.name} {wrong}.", "Bring the base that its adapter_config.json names."
            )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read: {error}.", "Bring the model again: its files are damaged.") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} can't be read: it is no JSON object.", "Bring the model again: its files are damaged.")
    return found
