"""What a model can be asked to do with rows: a table of tasks, each a module of its own. Light: Commands read it.

A new task is a module with ``make(asked) -> Task``, its name in ``TaskName``, and a line in ``TASKS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from engine.evaluation.questions import recognised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from engine.evaluation.spec import EvalSpec, TaskName
    from engine.jobs.context import CancelToken, JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.models import ModelRecord


class Task(Protocol):
    """One way to measure. A row is a dataset's row; a prediction is the JSON that is kept of it."""

    def usable(self, row: dict[str, Any]) -> bool:
        """Whether the row has what this task needs."""
        ...

    def length(self, row: dict[str, Any]) -> int:
        """About how long the row is: rows of near-equal length share a batch."""
        ...

    def predict(self, rows: Sequence[dict[str, Any]], token: CancelToken) -> Iterable[dict[str, Any]]:
        """A prediction for each row, in order, all of them or one by one. May end early when ``token`` asks; the caller then
        throws away what comes."""
        ...

    def measure(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The metrics of all predictions."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a task is made from. ``folder`` is a transformers folder (of a served model, whose files are not here, an empty path),
    ``adapter`` a PEFT folder to put on it; ``rows`` is the split, a ``datasets.Dataset``."""

    job: JobContext
    spec: EvalSpec
    dataset: DatasetRecord
    rows: Any
    folder: Path
    adapter: Path | None


@dataclass(frozen=True, slots=True)
class Kind:
    """A line of the table. ``module`` has ``make(asked: Asked) -> Task`` (which may raise ``BitternError``); ``models``
    are the kinds of model that it can measure; ``fits`` says whether a dataset has what it needs, which ``needs`` tells."""

    module: str
    models: tuple[str, ...]
    fits: Callable[[DatasetRecord], bool]
    needs: str


def shaped(*shapes: str) -> Callable[[DatasetRecord], bool]:
    return lambda dataset: dataset.shape in shapes


def _scored(dataset: DatasetRecord) -> bool:
    return dataset.shape in ("regression", "pair") and "score" in dataset.columns


_ANSWERED = shaped("conversation", "instruction", "classification", "preference")
_LIKELY = shaped("conversation", "instruction", "classification", "preference", "text")
_ANSWER = "messages, a prompt and a completion, or a text and a label"
TASKS: dict[TaskName, Kind] = {
    "classification": Kind("engine.evaluation.classification", ("classifier",), shaped("classification"), "a text and a label"),
    "tagging": Kind("engine.evaluation.tagging", ("tagger",), shaped("tagging"), "a list of words and a list of tags"),
    "multilabel": Kind("engine.evaluation.labelsets", ("multilabel",), shaped("multilabel"), "a text and a list of labels"),
    "regression": Kind("engine.evaluation.numbers", ("regressor",), _scored, "a text, or two, and a column of numbers"),
    "choice": Kind(
        "engine.evaluation.choice", ("chat", "adapter"), recognised, "a question, options and an answer (name them: --question, --options, --answer)"
    ),
    "generation": Kind("engine.evaluation.answers", ("chat", "adapter", "seq2seq", "endpoint"), _ANSWERED, _ANSWER),
    "perplexity": Kind("engine.evaluation.answers", ("chat", "adapter", "seq2seq"), _LIKELY, f"plain text, {_ANSWER}"),
    "retrieval": Kind(
        "engine.evaluation.retrieval",
        ("encoder", "reranker", "classifier"),
        shaped("pair", "triplet", "instruction", "text"),
        "pairs of texts, or queries (with --corpus and --qrels)",
    ),
}
"""By name. Where the task is left open, the first that takes the model and the dataset is meant."""


def of_model(model: ModelRecord, dataset: DatasetRecord) -> TaskName | None:
    """The task that is meant where none is named: the first that takes both, else the first that takes the model."""
    able = [name for name, kind in TASKS.items() if model.kind in kind.models]
    return next((name for name in able if TASKS[name].fits(dataset)), able[0] if able else None)


def make(asked: Asked) -> Task:
    """The task of ``asked.spec``, its model loaded. Raises ``BitternError``."""
    found: Task = import_module(TASKS[asked.spec.task].module).make(asked)
    return found


def both(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Figures of one set of rows, measured in two ways."""
    return {**first, **second, "intervals": {**first.get("intervals", {}), **second.get("intervals", {})}}
