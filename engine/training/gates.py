"""Gates before the first step: what makes a training worthless is said, and stops it unless it is allowed by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from engine.errors import DataError
from engine.training.recipes.table import RECIPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.jobs.context import JobContext
    from engine.training.rows import Prepared
    from engine.training.spec import TrainSpec
    from engine.training.tally import Tally

GateName = Literal["stop", "truncated", "empty", "leak"]
Level = Literal["ok", "warning", "red"]
NAMES: tuple[str, ...] = get_args(GateName)
TRUNCATED = 0.5
"""Red where more than this share of the answered rows lost most of their prompt, or could not be used at all."""
EMPTY = 0.2
"""Red where more than this share of the rows has nothing to learn from."""
LEAK = 0.5
"""Red where more than this share of the held-out rows is in the training rows too: the measure then shows memory."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a gate found: ``says`` in a sentence, ``way`` out of it."""

    name: GateName
    level: Level
    says: str
    way: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def of_rows(spec: TrainSpec, prepared: Prepared) -> list[Gate]:
    """The gates that the tokens of the training rows decide: stop, truncated, empty."""
    tally = prepared.tally
    if tally is None:
        return []
    found = [_truncated(spec, tally), _empty(spec, tally)]
    return [_stop(tally), *found] if RECIPES[spec.recipe].writes else found


def _stop(tally: Tally) -> Gate:
    missing = tally.kept - tally.stopped
    if not missing:
        return Gate("stop", "ok", f"The stop token carries loss in all of {tally.kept:,} rows.")
    return Gate(
        "stop", "red", f"The stop token carries no loss in {missing:,} of {tally.kept:,} rows: the model would never learn to end an answer.",
        "Its tokenizer needs an eos_token that ends an answer; `mask` shows the tokens.",
    )  # fmt: skip


def _truncated(spec: TrainSpec, tally: Tally) -> Gate:
    if tally.blocks:
        return Gate("truncated", "ok", f"The texts fill {tally.blocks:,} blocks of {spec.max_length} tokens: nothing is cut off.")
    answered = tally.rows - tally.empty
    worst = tally.lost + tally.long
    shown = f"; `mask {spec.dataset} --model {spec.base}` shows what is cut" if RECIPES[spec.recipe].adapter else ""
    way = f"A larger --max-length (now {spec.max_length}){shown}."
    if answered and worst / answered > TRUNCATED:
        return Gate("truncated", "red", f"{worst:,} of {answered:,} rows lost most of their prompt, or have no room for their answer.", way)
    if tally.cut or tally.long:
        return Gate("truncated", "warning", f"{tally.cut:,} of {answered:,} rows were cut and {tally.long:,} left out as too long.", way)
    return Gate("truncated", "ok", f"No row is longer than {spec.max_length} tokens.")


def _empty(spec: TrainSpec, tally: Tally) -> Gate:
    if not tally.empty:
        return Gate("empty", "ok", "Every row has something to learn.")
    level: Level = "red" if tally.empty / max(1, tally.rows) > EMPTY else "warning"
    says = f"{tally.empty:,} of {tally.rows:,} rows have no answer, no text or no known label."
    return Gate("empty", level, says, f"Take them out with `filter`, or look at them: `show {spec.dataset}`.")


def judge(job: JobContext, gates: Sequence[Gate], allow: Sequence[str]) -> list[str]:
    """Tell what the gates found; returns what was red and is allowed. Raises ``DataError`` for what is red and is not."""
    for gate in gates:
        if gate.level == "red" and gate.name in allow:
            job.log(f"Gate {gate.name}: {gate.says} Allowed by --allow {gate.name}.", "warning")
        elif gate.level != "ok":
            job.log(f"Gate {gate.name}: {gate.says}", "warning" if gate.level == "warning" else "error")
    shut = [gate for gate in gates if gate.level == "red" and gate.name not in allow]
    if shut:
        names = ",".join([*allow, *(gate.name for gate in shut)])
        ways = " ".join(gate.way for gate in shut if gate.way)
        refused = DataError(" ".join(gate.says for gate in shut), f"{ways} To train all the same: --allow {names}")
        raise refused.offer("train all the same", allow=names.split(","))
    job.log("Gates: " + ", ".join(f"{gate.name} {gate.level}" for gate in gates) + ".")
    return [f"{gate.name}: {gate.says}" for gate in gates if gate.level == "red"]
