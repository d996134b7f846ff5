"""Evaluation runs with predictions that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.evaluation import kept
from engine.store.runs import RunRecord
from tests.fakes.tables import put

if TYPE_CHECKING:
    from engine.engine import Engine

LABELS = ["late", "refund"]
ROWS = 60
WORDS = ["heron", "egret", "bittern", "reed", "pond"]


def labelled(right: list[bool], *, sure: float = 0.9) -> list[dict[str, Any]]:
    """Predictions of a classifier on the test rows of ``three_runs``."""
    return [
        {
            "row": at, "address": f"tickets/test/{at}", "prompt": f"text {at} " + "x" * at, "reference": LABELS[at % 2],
            "prediction": LABELS[at % 2] if good else LABELS[1 - at % 2], "correct": good, "probability": round(sure - at / 200, 5),
        }
        for at, good in enumerate(right)
    ]  # fmt: skip


def run(engine: Engine, model: str, rows: list[dict[str, Any]], **other: Any) -> str:
    """Put a run on the list; returns its number."""
    number = f"x{len(engine.runs())}"
    file = engine.workspace.paths.runs / f"{number}.jsonl"
    kept.append(file, rows)
    metrics = {"accuracy": sum(row.get("correct", 0) for row in rows) / len(rows), "macro_f1": 0.5}
    values = {"dataset": "tickets", "split": "test", "fingerprint": "f1", "task": "classification", "metrics": metrics}
    return engine.workspace.runs.add(RunRecord(**{"job": number, "model": model, "rows": len(rows), "predictions": str(file), **values, **other}))


def three_runs(engine: Engine) -> None:
    """Rows of two labels and two colours, and three runs on them: b has all reds right that a has wrong; c is as a."""
    test = {
        "text": [f"{WORDS[at % 5]} {WORDS[at % 3]} stood {at} times" for at in range(ROWS)],
        "label": [LABELS[at % 2] for at in range(ROWS)],
        "colour": ["red" if at < 30 else "blue" for at in range(ROWS)],
    }
    train = {"text": ["a", "b", "c"], "label": ["late", "refund", "late"], "colour": ["red"] * 3}
    put(engine, "tickets", {"train": train, "test": test}, shape="classification", columns={"text": "text", "label": "label"})
    run(engine, "a", labelled([at >= 30 for at in range(ROWS)]))
    run(engine, "b", labelled([at != 59 for at in range(ROWS)]))
    run(engine, "c", labelled([at >= 30 for at in range(ROWS)]))
