"""Commands about single rows of a run: worst, nearest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.commands.base import Desk, Field, Now
from engine.commands.data.datasets import cell
from engine.commands.evaluation.compare import is_stale, runs_of
from engine.commands.evaluation.evaluate import run_data
from engine.errors import NotFound
from engine.evaluation.worst import Order
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.evaluation.worst import Worst as Found
    from engine.store.datasets import DatasetRecord
    from engine.store.runs import RunRecord
    from engine.store.workspace import Workspace

SHOWN = 100


class Worst(Now):
    """Show the rows that a run is worst at: sure and wrong, right but barely, or the answers farthest from the right one.

    `nearest RUN ROW` then shows what the model learned from that is most like one of them.
    """

    verb = "worst"
    words = ("name",)
    examples = ("worst 3", "worst smollm2-tickets --order loss", "worst 4 --order unsure --count 50")
    completes = {"name": "runs"}

    name: str = Field(description="A run's number, or a model's name for its latest run")
    order: Order = Field(
        "auto",
        description="wrong: sure and wrong; unsure: right, but barely; error: far from the right number; chrf: far from the right answer; loss: surprised by it",
    )
    count: int = Field(20, ge=1, le=1000, description="How many rows")

    def title(self) -> str:
        return f"worst {self.name}"

    def run(self, desk: Desk) -> Result:
        from engine.evaluation.compare import predictions
        from engine.evaluation.worst import WHY, worst

        run = runs_of(desk.workspace, self.name)[0]
        found = worst(predictions(run), self.count, self.order)
        data = {"run": run_data(run), "stale": is_stale(desk.workspace, run), "rows": [row_data(item) for item in found]}
        rows = [
            [
                item.row["address"], WHY[item.why], f"{item.score:.3g}", cell(item.row["reference"], SHOWN),
                cell(item.row.get("prediction", ""), SHOWN), cell(item.row["prompt"], SHOWN),
            ]
            for item in found
        ]  # fmt: skip
        if not rows:
            return Result(f"Run {run.id} ({run.model}) has no such row.", data)
        said = f"The {len(rows)} worst rows of run {run.id} ({run.model} on {run.dataset}/{run.split})."
        return Result(said, data, Table(["row", "why", "figure", "right answer", "answer", "prompt"], rows))


class Nearest(Now):
    """Show the training rows that are nearest in meaning to a row that a run answered: what the model learned it from.

    They come from the split that the run's model was trained on, or else from the train split of the measured dataset.
    That dataset needs an index.
    """

    verb = "nearest"
    effect = "compute"
    words = ("name", "row")
    examples = ("nearest 3 17", "nearest smollm2-tickets tickets/test/17 --count 10")
    completes = {"name": "runs"}

    name: str = Field(description="A run's number, or a model's name for its latest run")
    row: str = Field(description="The row: its number in the measured split, or its address")
    count: int = Field(5, ge=1, le=100, description="How many training rows")

    def title(self) -> str:
        return f"nearest {self.name} {self.row}"

    def run(self, desk: Desk) -> Result:
        from engine.data.rows import row as read
        from engine.evaluation.compare import predictions

        run = runs_of(desk.workspace, self.name)[0]
        number = self.row.rpartition("/")[2]
        found = next((row for row in predictions(run) if str(row["row"]) == number and self.row in (number, row["address"])), None)
        if found is None:
            raise NotFound(f"Run {run.id} has no row {self.row}.", f"`worst {run.id}` lists rows of it.")
        record, split, note = learned_from(desk.workspace, run)
        where = "_split = '" + split.replace("'", "''") + "'"
        hits = desk.reader.search(record.name, str(found["prompt"]), self.count + 1, "dense", desk.cancel, where=where)
        hits = [hit for hit in hits if hit.address != found["address"]][: self.count]
        rows, told = [], []
        for hit in hits:
            answer = _answer(record, read(record, hit.split, hit.row))
            told.append({"address": hit.address, "cosine": hit.cosine, "text": hit.text, "answer": answer})
            rows.append([hit.address, f"{hit.score:.3f}", cell(answer, SHOWN), cell(hit.text, 200)])
        verdict = {True: "answered rightly", False: "got wrong"}.get(found.get("correct", ""), "read")
        said = f"The rows of {record.name}/{split} nearest to {found['address']}, which {run.model} {verdict}.{note}"
        data = {"run": run.id, "row": found, "trained_on": f"{record.name}/{split}", "rows": told}
        return Result(said, data, Table(["row", "likeness", "its answer", "text"], rows))


def learned_from(workspace: Workspace, run: RunRecord) -> tuple[DatasetRecord, str, str]:
    """The dataset and the split that the run's model learned from, and what must be said about it. Raises ``NotFound``."""
    model = workspace.models.find(run.model)
    facts = model.facts if model else {}
    name, _, split = str(facts.get("trained_on", "")).rpartition("/")
    if name and (record := workspace.datasets.find(name)) and split in record.splits:
        changed = facts.get("fingerprint") not in (None, record.fingerprint)
        return record, split, " The dataset has changed since the training." if changed else ""
    record = workspace.datasets.get(run.dataset)
    if "train" not in record.splits or run.split == "train":
        raise NotFound(
            f"“{run.model}” was not trained here, and “{record.name}” has no other split to look in.",
            f"Look in all of it: similar {record.name}/{run.split}/0",
        )
    return record, "train", f" {run.model} was not trained here: this is what it could be trained on."


def row_data(item: Found) -> dict[str, Any]:
    row = item.row
    kept = ("row", "address", "prompt", "reference", "prediction", "correct", "probability", "label", "chrf", "error")
    return {**{name: row[name] for name in kept if name in row}, "why": item.why, "score": item.score}


def _answer(record: DatasetRecord, row: dict[str, Any]) -> str:
    """What a row of the training set says is right."""
    from engine.data.shape import as_messages
    from engine.errors import DataError

    if label := record.columns.get("label"):
        return str(row.get(label, ""))
    try:
        return as_messages(record, row)[-1]["content"]
    except DataError:
        return ""
