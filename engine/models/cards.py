"""What is told of an exported model in its README: the facts of its record, in the front matter that the Hub reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from engine.hub.pull import is_repository
from engine.jobs.surroundings import surroundings

if TYPE_CHECKING:
    from engine.store.models import ModelRecord

TOLD = {
    "recipe": "Recipe", "method": "Method", "init": "Beginning of the new weights", "quantise": "Base while it learnt", "rank": "Rank", "alpha": "Alpha",
    "steps": "Steps", "epochs": "Epochs", "learning_rate": "Learning rate", "seed": "Seed", "trained_on": "Rows", "rows": "Number of rows",
    "fingerprint": "Fingerprint of the rows", "eval_loss_before": "Held-out loss before", "eval_loss_after": "Held-out loss after",
    "merged": "Merged from", "weights": "By weights", "how": "Joined by", "labels": "Labels",
}  # fmt: skip
"""Facts of a record that a stranger can use, in this order."""
TASKS = {
    "chat": "text-generation", "adapter": "text-generation", "seq2seq": "text2text-generation", "classifier": "text-classification",
    "multilabel": "text-classification", "regressor": "text-classification", "tagger": "token-classification", "encoder": "sentence-similarity",
    "reranker": "text-ranking",
}  # fmt: skip
"""The Hub's name for what each kind of model does."""


def card(record: ModelRecord, base: ModelRecord | None, form: Literal["adapter", "merged", "gguf"], about: dict[str, Any]) -> str:
    """The README of an export, as Markdown. ``about`` are facts of the export itself: dtype, quantisation, files.

    No path of this machine is in it: a base is named by its place on the Hub where it has one, else by its name here.
    """
    known = hub_name(base)
    front: dict[str, Any] = {
        "library_name": _library(record, form), "pipeline_tag": TASKS.get(record.kind, ""),
        "base_model": known, "tags": ["bittern", *([str(record.facts["method"])] if "method" in record.facts else [])],
    }  # fmt: skip
    facts = {label: record.facts[name] for name, label in TOLD.items() if record.facts.get(name) not in (None, "", [], {})}
    told = {**({"Base": known or base.name} if base else {}), **facts, **about, **_versions()}
    lines = ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items() if value), "---", "", f"# {record.name}", ""]
    lines += [_what(record, base, form), ""]
    lines += ["| | |", "|---|---|", *(f"| {label} | {_cell(value)} |" for label, value in told.items()), ""]
    return "\n".join([*lines, "## Use", "", "```", *_use(record, known or (base.name if base else ""), form, about), "```", ""])


def _library(record: ModelRecord, form: Literal["adapter", "merged", "gguf"]) -> str:
    if form == "merged" and record.kind in ("encoder", "reranker"):
        return "sentence-transformers"
    return {"adapter": "peft", "merged": "transformers", "gguf": "gguf"}[form]


def hub_name(record: ModelRecord | None) -> str:
    """Where a model is on the Hub; empty where that is not known."""
    return record.source if record and is_repository(record.source) else ""


def _what(record: ModelRecord, base: ModelRecord | None, form: str) -> str:
    on = f" on {base.name}" if base else ""
    return {
        "adapter": f"An adapter{on}, in PEFT's format. It works with that model alone.",
        "merged": f"A whole model ({record.kind}){f', made from {base.name}' if base else ''}, in transformers' format.",
        "gguf": f"A whole model{f', made from {base.name}' if base else ''}, as a GGUF file for llama.cpp and what is built on it.",
    }[form] + " Written by Bittern, and read back before it was put here (see bittern-export.json)."


def _use(record: ModelRecord, base: str, form: str, about: dict[str, Any]) -> list[str]:
    if form == "gguf":
        return [f"llama-server -m {about['File']}"]
    if form == "adapter":
        return [
            "from peft import PeftModel", "from transformers import AutoModelForCausalLM",
            f"base = AutoModelForCausalLM.from_pretrained({base!r})", 'model = PeftModel.from_pretrained(base, ".")',
        ]  # fmt: skip
    if record.kind in ("encoder", "reranker"):
        name = "SentenceTransformer" if record.kind == "encoder" else "CrossEncoder"
        return [f"from sentence_transformers import {name}", f'model = {name}(".")']
    auto = {
        "seq2seq": "AutoModelForSeq2SeqLM",
        "tagger": "AutoModelForTokenClassification",
        "chat": "AutoModelForCausalLM",
        "adapter": "AutoModelForCausalLM",
    }
    name = auto.get(record.kind, "AutoModelForSequenceClassification")
    return [f"from transformers import {name}, AutoTokenizer", f'model, tokenizer = {name}.from_pretrained("."), AutoTokenizer.from_pretrained(".")']


def _versions() -> dict[str, str]:
    found = surroundings()["libraries"]
    return {f"With {name}": found[name] for name in ("bittern", "torch", "transformers", "peft") if name in found}


def _cell(value: Any) -> str:
    """A value inside a table: one line, its bars escaped."""
    text = value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split()).replace("|", "\\|")
