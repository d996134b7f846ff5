"""lm-evaluation-harness as a job."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.base import Desk, Field, Work
from engine.errors import ModelError

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.results import Result


class Harness(Work):
    """Measure a model by a task of lm-evaluation-harness, from its YAML file and local data, and keep every answer.

    The task reads files (dataset_path: json, csv, parquet, text or arrow, and dataset_kwargs: data_files, looked for
    beside the YAML). Code in a task (!function) is not run. The run is on the list like any other.
    """

    verb = "harness"
    effect = "compute"
    words = ("model",)
    examples = ("harness smollm2 --task exam.yaml", "harness smollm2-tickets --task exam.yaml --rows 100")
    completes = {"model": "models", "task": "files"}

    model: str = Field(description="The model to measure")
    task: str = Field(description="The task's YAML file")
    rows: int = Field(0, ge=0, description="Measure on the first so many rows; 0 for all")
    batch_size: int = Field(8, ge=1, description="Prompts in one forward pass")

    def prepare(self, desk: Desk) -> Harness:
        model = desk.workspace.models.get(self.model)
        if model.kind not in ("chat", "adapter"):
            raise ModelError(f"“{model.name}” is no language model, but: {model.kind}.", "The harness asks models that write text.")
        if find_spec("lm_eval") is None:
            raise ModelError("lm-evaluation-harness is not installed.", "pip install 'bittern[harness]'")
        from engine.evaluation.harness_task import read_task

        file = Path(self.task).expanduser().resolve()
        read_task(file)  # Says at once what is wrong with it, and not when the jobs before this one are over.
        return self.model_copy(update={"task": str(file)})

    def work(self, job: JobContext) -> Result:
        from engine.evaluation.harnessed import run_task

        return run_task(job, self.model, Path(self.task), self.rows, self.batch_size)
