"""Commands about measuring: evaluate, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from engine.commands.base import Desk, Field, Now, Work
from engine.errors import DataError, ModelError, NotFound
from engine.evaluation.questions import columns_of
from engine.evaluation.spec import Backend, TaskName
from engine.evaluation.tasks import TASKS, of_model
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.evaluation.spec import EvalSpec
    from engine.jobs.context import JobContext
    from engine.store.datasets import DatasetRecord
    from engine.store.models import ModelRecord
    from engine.store.runs import RunRecord
    from engine.store.workspace import Workspace


LIKELY: tuple[TaskName, ...] = ("choice", "perplexity")
"""Tasks that ask how likely a model finds a text."""


class Evaluate(Work):
    """Measure a model on a dataset, and keep every prediction.

    A classifier is measured by its labels (accuracy, macro F1, confusion); a chat model or adapter by what it writes
    (exact match, ROUGE-L, chrF) and by the perplexity of the right answer; on labelled texts by its labels too; on
    questions with options by which of them it finds likeliest (choice). An encoder or a reranker is measured by what it
    puts first for a query (nDCG, MRR, recall): out of --corpus, against --qrels, or, on pairs, out of all texts that
    belong to some query of the split. A model behind a server is measured by what it writes alone, --batch-size rows at
    once: a server tells no likelihoods.
    Measure two models on the same rows, then `compare` them; --with does both in one job and ends with the comparison.
    """

    verb = "evaluate"
    effect = "compute"
    words = ("model",)
    examples = (
        "evaluate smollm2 --on tickets",
        "evaluate banking --on banking77 --rows 0",
        "evaluate smollm2 --on tickets --task perplexity",
        "evaluate vllm --on tickets --batch-size 16",
        "evaluate smollm2-tickets --on tickets --with base",
        "evaluate minilm --on queries --corpus documents --qrels judgements",
        "evaluate smollm2 --on exam --task choice --question stem --options a,b,c,d --answer key",
    )
    completes = {"model": "models", "on": "datasets", "with_": "models", "corpus": "datasets", "qrels": "datasets", "encoder": "models"}

    model: str = Field(description="The model to measure")
    on: str = Field(description="The dataset to measure on")
    split: str = Field("", description="The split (test, or validation, or the only one)")
    task: Literal["auto", TaskName] = Field("auto", description="What the model is asked to do")
    rows: int = Field(200, ge=0, description="Measure on so many rows, drawn with the seed; 0 for all")
    batch_size: int = Field(8, ge=1, description="Rows in one forward pass, or questions to a server at once")
    max_tokens: int = Field(64, ge=1, description="Longest generated answer, in tokens")
    seed: int = Field(0, ge=0, description="Which rows are drawn")
    backend: Literal["auto", Backend] = Field(
        "auto", description="generation: what writes the answers; auto is llama.cpp where `tune` has measured the model there, else transformers"
    )
    corpus: str = Field("", description="Retrieval: the dataset that is searched; the rows of --on are the queries")
    qrels: str = Field("", description="Retrieval: the dataset of judgements (query-id, corpus-id, score)")
    encoder: str = Field("", description="Retrieval by a reranker: the encoder whose best passages it reads (the search encoder)")

    with_: str = Field("", description="Measure this model first, on the same rows, and compare; base for the one that the model was trained from")

    question: str = Field("", description="choice: the column of the question, where it is not recognised")
    options: str = Field("", description="choice: the column that holds the options, or one column each, with commas")
    answer: str = Field("", description="choice: the column that says which option is right: a number, a letter, or the option's text")

    def title(self) -> str:
        return f"evaluate {self.model}{f' with {self.with_}' if self.with_ else ''} on {self.on}"

    def prepare(self, desk: Desk) -> Evaluate:
        from engine.hub.endpoint import key_of

        workspace = desk.workspace
        model, dataset = workspace.models.get(self.model), workspace.datasets.get(self.on)
        if model.kind == "adapter":
            workspace.models.get(model.base)
        named = self._named()
        task: TaskName | None = self.task if self.task != "auto" else "choice" if named else of_model(model, dataset)
        asked = self.task != "auto" or bool(named)
        _check(task, model, dataset, named, asked=asked)
        baseline = self._baseline(desk, model)
        if baseline:
            _beside(task, model, workspace.models.get(baseline))
            _check(task, workspace.models.get(baseline), dataset, named, asked=asked)
        models = [model, *([workspace.models.get(baseline)] if baseline else [])]
        for served in models:
            if served.kind == "endpoint":
                key_of(str(served.facts.get("key_env", "")), str(served.facts.get("keyring", "")))  # Says at once that there is none.
        backend = writes(workspace, models, self.backend, task)
        others = retrieving(desk, self, [model.kind, *([workspace.models.get(baseline).kind] if baseline else [])]) if task == "retrieval" else {}
        return self.model_copy(update={"task": task, "split": split_of(self.split, dataset), "with_": baseline, "backend": backend, **others})

    def _baseline(self, desk: Desk, model: ModelRecord) -> str:
        """The model to measure first. Raises ``NotFound``, ``ModelError``."""
        if self.with_ != "base" or desk.workspace.models.find("base"):
            name = self.with_
        elif not model.base:
            raise ModelError(f"“{model.name}” was not trained from another model here.", "Name the one to compare with: --with MODEL")
        else:
            name = model.base
        if name == model.name:
            raise ModelError(f"“{model.name}” can't be compared with itself.", "Name another: --with MODEL")
        return desk.workspace.models.get(name).name if name else ""

    def work(self, job: JobContext) -> Result:
        from engine.evaluation.run import evaluate

        if not self.with_:
            return evaluate(job, self._spec(self.model))
        from engine.commands.evaluation.compare import told
        from engine.evaluation.compare import compare_all, pairs

        runs = [str(evaluate(job, self._spec(model), part=part).data["run"]) for model, part in ((self.with_, "base"), (self.model, ""))]
        found = pairs([job.workspace.runs.get(number) for number in runs])
        return told(job.workspace, found, compare_all(found))

    def _named(self) -> dict[str, str]:
        """The columns that were named."""
        return {role: name for role, name in (("question", self.question), ("options", self.options), ("answer", self.answer)) if name}

    def _spec(self, model: str) -> EvalSpec:
        from engine.evaluation.spec import EvalSpec

        values = {"model": model, "dataset": self.on, "split": self.split, "task": self.task, "rows": self.rows}
        options = {name: value for name in ("corpus", "qrels", "encoder") if (value := getattr(self, name))} | self._named()
        more = {"batch_size": self.batch_size, "max_tokens": self.max_tokens, "seed": self.seed, "options": options}
        more["backend"] = self.backend if self.backend != "auto" else "transformers"
        return EvalSpec.model_validate({**values, **more})


class Runs(Now):
    """List the evaluation runs, the newest first."""

    verb = "runs"
    words = ("on",)
    examples = ("runs", "runs tickets")
    completes = {"on": "datasets"}

    on: str = Field("", description="Only those on this dataset")

    def run(self, desk: Desk) -> Result:
        from engine.evaluation.figures import headline

        found = [run for run in desk.workspace.runs.all() if self.on in ("", run.dataset)]
        if not found:
            return Result("There are no evaluation runs yet. `evaluate MODEL --on DATASET` makes one.", {"runs": []})
        rows = [[run.id, run.model, f"{run.dataset}/{run.split}", run.task, str(run.rows), headline(run.metrics), run.created[:16]] for run in found]
        table = Table(["run", "model", "on", "task", "rows", "metrics", "made"], rows)
        return Result(f"{len(found)} runs.", {"runs": [run_data(run) for run in found]}, table, opens=f"runs:{self.on}")


def retrieving(desk: Desk, asked: Evaluate, kinds: list[str]) -> dict[str, str]:
    """The encoder of a retrieval by models of these kinds, filled in where a reranker needs one; the corpus and its judgements looked up. Raises ``NotFound``, ``DataError``."""
    from engine.commands.data.search import search_encoder
    from engine.evaluation.retrieval import check

    if bool(asked.corpus) != bool(asked.qrels):
        raise DataError("A corpus goes with its judgements.", "Give both --corpus and --qrels, or neither: pairs are measured on themselves.")
    if asked.corpus:
        check(*(desk.workspace.datasets.get(name) for name in (asked.on, asked.corpus, asked.qrels)))
    elif desk.workspace.datasets.get(asked.on).shape == "text":
        raise DataError(f"“{asked.on}” holds plain texts: nothing says what belongs to which.", "Give --corpus and --qrels.")
    return {"encoder": search_encoder(desk, asked.encoder).name} if set(kinds) != {"encoder"} else {}


def writes(workspace: Workspace, models: list[ModelRecord], asked: Literal["auto", Backend], task: TaskName | None) -> Literal["auto", Backend]:
    """What writes the answers of these models, all of them alike, but for those of servers. Raises ``ModelError``, ``DataError``."""
    models = [model for model in models if model.kind != "endpoint"]
    if not models:
        if asked != "auto":
            raise DataError("A server writes its answers by itself.", "Leave --backend out.")
        return asked
    if task != "generation":
        if asked == "llamacpp":
            raise DataError(f"--backend is for what a model writes, not for {task}.", "Leave it out, or say --task generation.")
        return "transformers"
    if asked == "transformers":
        return asked
    from engine.inference.writer import measured, why_not

    if asked == "auto":
        return "llamacpp" if all(measured(workspace, model) for model in models) else "transformers"
    for model in models:
        if reason := why_not(workspace, model):
            raise ModelError(
                f"llama.cpp can't write the answers of “{model.name}”: {reason}.", "`load NAME --quantise Q8_0` writes a GGUF of a model."
            )
    return asked


def _beside(task: TaskName | None, model: ModelRecord, other: ModelRecord) -> None:
    """Whether ``other`` can do what ``model`` is measured by. Raises ``ModelError``."""
    if task and other.kind not in TASKS[task].models:
        raise ModelError(
            f"“{other.name}” is of the kind {other.kind} and can't be held against “{model.name}”, which is measured by {task}.",
            f"Leave --with out, or name a model of the kind {' or '.join(TASKS[task].models)}.",
        )


def _check(task: TaskName | None, model: ModelRecord, dataset: DatasetRecord, named: dict[str, str], *, asked: bool) -> None:
    """``asked``: the person named the task. Raises ``ModelError``, ``DataError``."""
    if task != "choice" and named:
        raise DataError(f"--{next(iter(named))} is for questions with options, not for {task}.", "Leave it out, or say --task choice.")
    if model.kind == "tokenizer":
        raise ModelError(f"“{model.name}” is a tokenizer: it answers nothing.", "`stats DATASET --tokens NAME` measures a tokenizer.")
    if model.kind == "endpoint" and (task in LIKELY or (not TASKS["generation"].fits(dataset) and any(TASKS[name].fits(dataset) for name in LIKELY))):
        raise ModelError(
            f"“{model.name}” is behind a server, and a server tells no likelihood of a text that is given to it: "
            f"it can't be measured by {task if task in LIKELY else ' or '.join(name for name in LIKELY if TASKS[name].fits(dataset))}.",
            f"Measure what it writes (--task generation), on {TASKS['generation'].needs}; or bring the model itself: pull.",
        )
    if model.kind == "encoder" and (task is None or (task == "retrieval" and not TASKS[task].fits(dataset))):
        raise ModelError(
            f"“{model.name}” is an encoder: it gives texts a place, not an answer.",
            f"Train it first: train {model.name} --on {dataset.name}. Pairs of texts, or queries with --corpus and --qrels, it can be measured on.",
        )
    if task is None or model.kind not in TASKS[task].models:
        raise ModelError(
            f"“{model.name}” is of the kind {model.kind}: it can't be measured by {task or 'any task'}.",
            "Leave --task open: it follows from the model." if task else "Measure a model that answers or names labels.",
        )
    # One label is a score, which a reranker of an earlier workspace has; more of them put no text before another.
    sorts = task == "retrieval" and model.kind == "classifier" and _labels(model) > 1
    if sorts or not (columns_of(dataset, named) if named else TASKS[task].fits(dataset)):
        # A task that nobody named is only the first that such a model can do.
        able = [TASKS[task]] if asked else [kind for name, kind in TASKS.items() if model.kind in kind.models and not (sorts and name == "retrieval")]
        raise DataError(
            f"“{dataset.name}” has the shape {dataset.shape}: its rows have nothing to measure {task if asked else f'“{model.name}”'} against.",
            f"It needs {'; or '.join(dict.fromkeys(kind.needs for kind in able))}.",
        )


def _labels(model: ModelRecord) -> int:
    """How many labels a model has: of one that was trained here they are listed, of one that was pulled they are counted."""
    found = model.facts.get("labels") or 0
    return found if isinstance(found, int) else len(found)


def otherwise(workspace: Workspace, run: RunRecord, task: str) -> str:
    """The line that measures a run's model on its rows by another task, where it and they can be; else where to look."""
    kind, model, dataset = TASKS[cast("TaskName", task)], workspace.models.find(run.model), workspace.datasets.find(run.dataset)
    if model and dataset and model.kind in kind.models and kind.fits(dataset):
        return f"Measure it so: evaluate {run.model} --on {run.dataset} --task {task}"
    return f"`runs` lists what has been measured. By {task} one can measure a model of the kind {', '.join(kind.models)}, on {kind.needs}."


def no_run(workspace: Workspace, name: str, runs: list[RunRecord]) -> NotFound:
    """The error for a run that is not there; a job's number is one that people give for it."""
    if not name.isdigit():
        return NotFound.named("run or model", name, {run.model for run in runs}, "`runs` lists what has been measured.")
    job, made = next((job for job in workspace.jobs.all() if job.id == name), None), [run.id for run in runs if run.job == name]
    of_job = f"Job {name} made run {' and '.join(made)}." if made else f"Job {name} ({job.title}) is {job.state}." if job else ""
    return NotFound(f"There is no run {name}.", f"{of_job} Runs have numbers of their own: `runs` lists them.".strip())


def split_of(asked: str, dataset: DatasetRecord) -> str:
    """The split to measure on: test or validation before anything that was trained on."""
    known = [name for name, rows in dataset.splits.items() if rows]
    if asked and asked not in known:
        raise NotFound.named("split", f"{dataset.name}/{asked}", [f"{dataset.name}/{name}" for name in known], f"It has {', '.join(known)}.")
    if not known:
        raise DataError(f"“{dataset.name}” has no rows.", "Add rows to measure on.")
    return asked or next((name for name in ("test", "validation", "valid", "dev", "eval") if name in known), known[0])


def run_data(run: RunRecord) -> dict[str, Any]:
    return {
        "run": run.id, "job": run.job, "model": run.model, "dataset": run.dataset, "split": run.split, "task": run.task, "rows": run.rows,
        "metrics": run.metrics, "predictions": run.predictions, "created": run.created,
    }  # fmt: skip
