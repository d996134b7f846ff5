"""The Command that asks a model with a head about a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now
from engine.errors import BitternError, ModelError
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.store.models import ModelRecord

MOST = 20
"""Labels in the table."""
SAID = 0.5
"""The probability from which one of several labels is said."""


class Predict(Now):
    """Ask a classifier, a tagger or a regressor about a text.

    A classifier says its labels with their probabilities, one of several labels those that are more likely than not; a
    tagger marks the entities in the text; a regressor says a number. The model stays loaded for the next text.
    """

    verb = "predict"
    effect = "compute"
    words = ("model", "text")
    rest = True
    raw = True
    completes = {"model": "models"}
    examples = ("predict banking My card has not come.", "predict wnut17 The train to Leeds was late.", "predict nli It rains. --second It is wet.")

    model: str = Field(description="The model to ask")
    text: str = Field("", description="The text")
    second: str = Field("", description="A second text, for a model that judges two together")

    def run(self, desk: Desk) -> Result:
        record = desk.workspace.models.get(self.model)
        _check(record)
        if not self.text.strip():
            raise BitternError("There is no text to look at.", f"Write it after the model: predict {record.name} TEXT")
        found = desk.heads.predict(record, self.text, self.second, desk.cancel)
        data = {"model": record.name, "kind": record.kind, "text": self.text, **({"second": self.second} if self.second else {})}
        if "number" in found:
            return Result(f"{found['name']}: {found['number']:.4g}", {**data, **found})
        return _tags(self.text, data, found["words"]) if "words" in found else _labels(record, data, found["labels"])


def _check(record: ModelRecord) -> None:
    from engine.inference.heads import KINDS

    if record.kind in KINDS:
        return
    ways = {"encoder": f"Train it first: train {record.name} --on DATASET", "reranker": "`search --rerank` uses it."}
    raise ModelError(
        f"“{record.name}” is of the kind {record.kind}: it has no head that says labels, tags or a number.",
        ways.get(record.kind, "Ask it in words: `use` it, then `chat`."),
    )


def _labels(record: ModelRecord, data: dict[str, Any], labels: list[dict[str, Any]]) -> Result:
    rows = [[one["label"], f"{one['probability']:.3f}"] for one in labels[:MOST]]
    table = Table(["label", "probability"], rows)
    if record.kind == "multilabel":
        said = [one["label"] for one in labels if one["probability"] > SAID]
        return Result(", ".join(said) or "None of its labels.", {**data, "said": said, "labels": labels}, table)
    best = labels[0]
    return Result(f"{best['label']} ({best['probability']:.0%})", {**data, "label": best["label"], "labels": labels}, table)


def _tags(text: str, data: dict[str, Any], words: list[dict[str, Any]]) -> Result:
    from engine.data.tags import entities, spell_entities

    tags = [word["tag"] for word in words]
    if any(tag != "O" for tag in tags) and not spell_entities([*tags, "O"]):
        table = Table(["word", "tag", "probability"], [[word["word"], word["tag"], f"{word['probability']:.3f}"] for word in words])
        return Result(f"{len(words)} words.", {**data, "words": words}, table)
    found = []
    for kind, first, last in sorted(entities(tags), key=lambda entity: entity[1]):
        start, end = words[first]["start"], words[last]["end"]
        surest = min(word["probability"] for word in words[first : last + 1])
        found.append({"label": kind, "text": text[start:end], "start": start, "end": end, "probability": surest})
    if not found:
        return Result("No entity in it.", {**data, "entities": [], "words": words})
    table = Table(["entity", "kind", "probability"], [[one["text"], one["label"], f"{one['probability']:.3f}"] for one in found])
    said = "; ".join(f"{one['label']}: {one['text']}" for one in found)
    return Result(said, {**data, "entities": found, "words": words}, table)
