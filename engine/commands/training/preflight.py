"""The Command that tries a training before it is started."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from engine.commands.training.train import Train
from engine.results import Result, Table

if TYPE_CHECKING:
    from engine.jobs.context import JobContext
    from engine.training.gates import Gate
    from engine.training.preflight import Flight
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec

GIB = 2**30


class Preflight(Train):
    """Try a training for a few steps: does it fit, how long will it take, and is anything wrong with its rows?

    Takes the flags of `train`, builds what it would build, and runs its longest batch and some that follow: forward,
    backward and optimiser, and the longest held-out batch. Says the peak memory, seconds a step, when it would be done,
    and what the gates find. No model and no checkpoint is written.
    """

    verb = "preflight"
    effect = "compute"
    examples = ("preflight smollm2 --on tickets", "preflight minilm --on banking77", "preflight smollm2 --on tickets --batch-size 16 --method full")
    pauses = False

    def title(self) -> str:
        return f"preflight {self.base} on {self.on}"

    def work(self, job: JobContext) -> Result:
        from engine.commands.training import gates
        from engine.training.preflight import preflight

        def look(spec: TrainSpec, prepared: Prepared) -> list[Gate]:
            return gates.found(job, spec, prepared)

        asked = self.spec(job.workspace.datasets.get(self.on))
        return _told(preflight(job, asked, look), asked, self.allow)


def _told(flight: Flight, asked: TrainSpec, allow: list[Any]) -> Result:
    from engine.training.memory import room
    from engine.training.outcome import duration

    spec, later = flight.spec, flight.seconds[1:] or flight.seconds
    shut = [gate.name for gate in flight.gates if gate.level == "red" and gate.name not in allow]
    ends = [(datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds") for seconds in (flight.least, flight.most)]
    took = f"{duration(flight.likely)} ({duration(flight.least)} to {duration(flight.most)})"
    batch = f"{spec.batch_size} rows" + (f" × {spec.grad_accumulation}" if spec.grad_accumulation > 1 else "")
    fits = batch if spec.batch_size == asked.batch_size else f"{batch} ({asked.batch_size} do not fit)"
    rows = [
        ["peak memory", f"{flight.peak / GIB:.2f} GiB, {room() / GIB:.1f} GiB free beside it"], ["batch", fits],
        ["longest row", f"{flight.longest} tokens"],
        ["longest step", f"{flight.seconds[0]:.2f} s"],
        ["usual step", f"{median(later):.2f} s ({min(later):.2f} to {max(later):.2f}, {len(later)} tried)"],
        ["steps", f"{flight.steps} over {flight.rows:,} rows"], ["measures", f"{flight.measures}, a full batch in {flight.measure:.2f} s"],
        ["time", took], ["done, if started now", f"{ends[0][11:16]} to {ends[1][11:16]} UTC" if ends[0][:10] == ends[1][:10] else " to ".join(ends)],
        *([f"gate {gate.name}", f"{gate.level}: {gate.says} {gate.way if gate.level != 'ok' else ''}".strip()] for gate in flight.gates),
    ]  # fmt: skip
    data = {
        "base": spec.base, "dataset": spec.dataset, "recipe": spec.recipe, "peak": flight.peak, "batch_size": spec.batch_size,
        "asked_batch_size": asked.batch_size, "grad_accumulation": spec.grad_accumulation, "rows": flight.rows, "longest": flight.longest,
        "steps": flight.steps, "step_seconds": [round(seconds, 4) for seconds in flight.seconds], "measures": flight.measures,
        "measure_seconds": round(flight.measure, 4), "seconds": {"least": flight.least, "likely": flight.likely, "most": flight.most},
        "done": ends, "gates": [gate.as_dict() for gate in flight.gates], "red": shut,
    }  # fmt: skip
    gates = f" Red: {', '.join(shut)}." if shut else " No gate is red." if flight.gates else ""
    summary = f"{flight.steps} steps in {took}, {flight.peak / GIB:.2f} GiB at most, with batches of {fits}.{gates}"
    return Result(summary, data, Table(["", ""], rows, whole=True))
