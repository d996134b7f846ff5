"""Sides of a comparison: a model with its system prompt and sampling, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.data.rows import load_split
from engine.data.shape import as_messages, as_text
from engine.errors import DataError
from engine.evaluation import kept
from engine.evaluation.tally import shuffled
from engine.inference.patient import patiently
from engine.store.ballots import Ballot

if TYPE_CHECKING:
    from engine.inference.pool import ModelPool
    from engine.inference.protocol import Backend, Message
    from engine.jobs.context import CancelToken, JobContext
    from engine.store.datasets import DatasetRecord


@dataclass(frozen=True, slots=True)
class Side:
    """``label`` is the word that names it; ``sampling`` holds fields of ``Sampling``."""

    label: str
    model: str
    system: str = ""
    sampling: dict[str, Any] = field(default_factory=dict)


def pieces(backend: Backend, side: Side, prompt: list[Message], cancel: CancelToken) -> Any:
    """What a side answers, piece by piece. Its own system prompt goes before the prompt's. Raises ``ModelError``."""
    from engine.inference.protocol import Sampling

    rest = [message for message in prompt if message["role"] != "system"] if side.system else prompt
    opening = [{"role": "system", "content": side.system}] if side.system else []
    return backend.stream([*opening, *rest], Sampling(**side.sampling), cancel)


def prompts(record: DatasetRecord, split: str, rows: int, seed: int) -> list[tuple[str, list[Message]]]:
    """``rows`` prompts drawn with the seed (0: all), each with its row's address: the conversation without its last
    answer, or the row's text. Raises ``DataError`` where no row has any."""
    import random

    data = load_split(record, split)
    order = list(range(len(data)))
    random.Random(seed).shuffle(order)
    found: list[tuple[str, list[Message]]] = []
    for index in order:
        if rows and len(found) == rows:
            break
        row = data[index]
        try:
            prompt = as_messages(record, row)[:-1]
        except DataError:
            text = as_text(record, row).strip()
            prompt = [{"role": "user", "content": text}] if text else []
        if prompt:
            found.append((f"{record.name}/{split}/{index}", prompt))
    if not found:
        raise DataError(f"{record.name}/{split} has no text to ask about.", "Choose another dataset or split.")
    return found


def run(job: JobContext, sides: list[Side], asked: list[tuple[str, list[Message]]], seed: int) -> list[int]:
    """Let every side answer every prompt, one side after the other, and put the ballots into the workspace; returns their
    numbers. What was answered before a stop is kept. Raises ``Stopped``, ``ModelError``."""
    from engine.inference.pool import ModelPool

    file = job.folder / "answers.jsonl"
    answers = dict(map(_answered, kept.mend(file)))
    pool = ModelPool(job.workspace, hosted=False)
    total = len(sides) * len(asked)
    try:
        for at, side in enumerate(sides):
            for number, (_, prompt) in enumerate(asked):
                job.check()
                if (at, number) not in answers:
                    answers[at, number] = patiently(job, partial(_whole, pool, side, prompt, job.token))
                    job.check()
                    kept.append(file, [{"side": at, "prompt": number, "answer": answers[at, number]}])
                job.progress(len(answers), total, "answers", side.label)
    finally:
        pool.close()
    job.workspace.ballots.forget(job.id)
    return [
        job.workspace.ballots.add(
            Ballot(prompt, [side.label for side in sides], [answers[at, number] for at in range(len(sides))],
                   shuffled(len(sides), seed + number), seed + number, job.id, address)
        )
        for number, (address, prompt) in enumerate(asked)
    ]  # fmt: skip


def _whole(pool: ModelPool, side: Side, prompt: list[Message], cancel: CancelToken) -> str:
    with pool.use(side.model, use="batch") as backend:
        return "".join(pieces(backend, side, prompt, cancel)).strip()


def _answered(row: Any) -> tuple[tuple[int, int], str]:
    """``(side, prompt)`` and the answer of a kept line. Earlier jobs wrote a list of the three."""
    side, prompt, answer = row if isinstance(row, list) else (row["side"], row["prompt"], row["answer"])
    return (side, prompt), answer
