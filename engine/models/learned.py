"""What this machine's own jobs teach about memory: a prediction from a config, corrected by what was measured.

The measured peak is taken to be ``a + b · predicted``, without the predicted cost of a bare process, which ``a`` stands
for. Both start from what the formulas say (``a`` that cost, ``b`` 1) and move as measurements come in: a Bayesian linear
regression with a Gaussian prior (Bishop 2006, §3.3), solved in closed form. A hundred tiny jobs teach ``a``, and leave
``b`` for large models where it was; large jobs teach ``b``.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import BitternError
from engine.models.estimate import loaded_dtype, of_record
from engine.models.fit import inference
from engine.store.peaks import PeakRecord

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.models.fit import Fit
    from engine.store.workspace import Workspace

DOUBT_OF_RUNTIME = 400e6
DOUBT_OF_FACTOR = 0.35
NOISE = 0.08
"""How far a measurement may be from the line: this share of itself, and 30 MB."""


@dataclass(frozen=True, slots=True)
class Correction:
    """``a`` in bytes and ``b``; ``jobs`` that taught it; ``error``: their mean distance from the prediction that was made
    before each of them began, as a share (``None`` before the first)."""

    a: float
    b: float
    jobs: int = 0
    error: float | None = None

    def of(self, fit: Fit) -> int:
        """The corrected total of a fit, in bytes."""
        return self.at(fit.total - fit.terms["runtime"])

    def at(self, predicted: float) -> int:
        return max(0, round(self.a + self.b * predicted))


def correction(workspace: Workspace, kind: str, runtime: int) -> Correction:
    """What is known for a kind (training, inference) whose bare process is predicted at ``runtime`` bytes."""
    return solve(workspace.peaks.known(kind), runtime)


def solve(known: list[PeakRecord], runtime: int) -> Correction:
    """The most likely ``a`` and ``b`` after these measurements."""
    # The normal equations of the posterior: precision · (a, b) = pulled.
    aa, ab, bb = 1 / DOUBT_OF_RUNTIME**2, 0.0, 1 / DOUBT_OF_FACTOR**2
    pull_a, pull_b = runtime * aa, bb
    for record in known:
        x, y = float(record.predicted - record.runtime), float(record.measured)
        weight = 1 / ((NOISE * y) ** 2 + 30e6**2)
        aa += weight
        ab += weight * x
        bb += weight * x * x
        pull_a += weight * y
        pull_b += weight * x * y
    under = aa * bb - ab * ab
    a, b = (bb * pull_a - ab * pull_b) / under, (aa * pull_b - ab * pull_a) / under
    errors = [abs(record.corrected - record.measured) / record.measured for record in known if record.corrected]
    return Correction(max(0.0, a), max(0.1, b), len(known), sum(errors) / len(errors) if errors else None)


def expect(workspace: Workspace, job: str, model: str, fit: Fit) -> int:
    """Write down what a job is going to need; returns the corrected prediction, in bytes."""
    runtime = fit.terms["runtime"]
    corrected = correction(workspace, fit.purpose, runtime).of(fit)
    workspace.peaks.expect(PeakRecord(job, fit.purpose, model, fit.total, runtime, corrected, settings=fit.settings))
    return corrected


def expect_inference(job: JobContext, model: str, rows: int, context: int = 512) -> None:
    """Say what a job that loads a model through transformers is going to need. Nothing is said where it can't be known."""
    with suppress(BitternError, ValueError):
        found = of_record(job.workspace, job.workspace.models.get(model), weights=True)
        fit = inference(found.shape, dtype=loaded_dtype(), context=context, rows=rows)
        expect(job.workspace, job.id, model, fit)
