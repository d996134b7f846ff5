"""The main job in one walk, headless: starter models, a cited answer, a search, a fine-tune, before and after."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from engine.errors import JobError, from_dict
from engine.paths import write_atomic
from engine.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.engine import Engine

QUESTION = "How do I pause a running job and go on with it later?"
SEARCH = "what happens when the power goes out"
BASE, DATASET, TUNED = "smollm2", "tour-lines", "smollm2-tour"


@dataclass(frozen=True, slots=True)
class Step:
    """A step announced (``says`` is empty) or something it says; ``data`` is for machines."""

    number: int
    title: str
    says: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def steps(engine: Engine) -> Iterator[Step]:
    """Walk the main job in the engine's workspace. Nothing is kept waiting: each step is told as it ends.

    Raises ``BitternError`` when a step fails; what was made until then stays.
    """
    for number, (title, walk) in enumerate(
        (
            ("Bring the starter: a chat model, an encoder, and the guide, indexed", _starter),
            ("Ask Bittern's own guide a question, and see which rows the answer stands on", _ask),
            ("Search the guide by meaning", _search),
            ("Bring some data: 96 requests, each with the line that does it", _bring),
            ("Measure the chat model on held-out requests, before", _before),
            ("Fine-tune it with LoRA", _train),
            ("Measure again, after, and compare row by row", _after),
            ("Talk to the tuned model", _talk),
        ),
        start=1,
    ):
        yield Step(number, title)
        for says, data in walk(engine):
            yield Step(number, title, says, data)


Says = tuple[str, dict[str, Any]]


def _starter(engine: Engine) -> Iterator[Says]:
    for job in _run(engine, "setup").data["jobs"]:
        record = engine.job(job)
        result = _finished(engine, job)
        yield f"{record.title}: {result.summary}", result.data
    yield "The starter is here.", {}


def _ask(engine: Engine) -> Iterator[Says]:
    result = _run(engine, f"ask --on guide {QUESTION}")
    yield f"You: {QUESTION}", {"question": QUESTION}
    yield f"Bittern: {result.data['answer']}", {"answer": result.data["answer"], "found": result.data["found"]}
    for passage in result.data["passages"]:
        yield f"  [{passage['n']}] {passage['address']}: {_short(passage['text'])}", {"address": passage["address"]}


def _search(engine: Engine) -> Iterator[Says]:
    result = _run(engine, f"search --on guide --count 3 {SEARCH}")
    yield f"Search: {SEARCH}", {"query": SEARCH}
    for row in result.table.rows if result.table else []:
        yield "  " + "  ".join(_short(cell) for cell in row), {}


def _bring(engine: Engine) -> Iterator[Says]:
    file = engine.workspace.paths.root / "tour-lines.jsonl"
    write_atomic(file, "".join(json.dumps(row) + "\n" for row in requests(96)))
    yield _work(engine, f'add "{file}" --name {DATASET} --test 0.25')


def _before(engine: Engine) -> Iterator[Says]:
    yield _work(engine, f"evaluate {BASE} --on {DATASET} --max-tokens 16")


def _train(engine: Engine) -> Iterator[Says]:
    yield _work(engine, f"train {BASE} --on {DATASET} --name {TUNED} --epochs 2 --learning-rate 0.002 --batch-size 8 --max-length 96")


def _after(engine: Engine) -> Iterator[Says]:
    yield _work(engine, f"evaluate {TUNED} --on {DATASET} --max-tokens 16")
    result = _run(engine, f"compare {BASE} {TUNED}")
    yield result.summary, result.data
    for row in result.table.rows if result.table else []:
        yield "  " + "  ".join(row), {}


def _talk(engine: Engine) -> Iterator[Says]:
    said = "Search reviews for late parcels."
    result = _run(engine, f"chat --model {TUNED} --session tour --temperature 0 --max-tokens 24 {said}")
    yield f"You: {said}", {}
    yield f"{TUNED}: {result.data['answer']}", {"answer": result.data["answer"]}
    yield "That is the main job. Now with your own data: open the screen with `bittern` and type /add FILE.", {}


def _run(engine: Engine, line: str) -> Result:
    return engine.run(engine.parse(line))


def _work(engine: Engine, line: str) -> Says:
    result = _finished(engine, _run(engine, line).data["job"])
    return f"> {line}\n{result.summary}", result.data


def _finished(engine: Engine, job: str, poll: Callable[[float], None] = time.sleep) -> Result:
    """The result of a job once it is over. Raises its error."""
    while (record := engine.job(job)).state in ("queued", "running"):
        poll(0.1)
    if record.state == "failed":
        raise from_dict(record.error)
    if record.state != "done":
        raise JobError(f"Job {job} ({record.title}) is {record.state}, so the tour ends here.", f"resume {job}, then start the tour again.")
    return Result.from_dict(json.loads((engine.workspace.paths.job(job) / "result.json").read_text("utf-8")))


def _short(text: str, width: int = 90) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


_THINGS = ("reviews", "tickets", "emails", "orders", "papers", "recipes", "notes", "calls")
_TOPICS = ("late parcels", "refunds", "lost passwords", "kind words", "broken screens", "long waits")
_SAYINGS: tuple[tuple[str, str], ...] = (
    ("Search {thing} for {topic}.", "/search {topic} --on {thing}"),
    ("Find rows in {thing} that speak of {topic}.", "/search {topic} --on {thing}"),
    ("Show me the first rows of {thing}.", "/show {thing}"),
    ("Fine-tune the small model on {thing}.", "/train smollm2 --on {thing}"),
    ("Teach smollm2 from {thing}, two epochs.", "/train smollm2 --on {thing} --epochs 2"),
    ("How good is smollm2 on {thing}?", "/evaluate smollm2 --on {thing}"),
    ("Make {thing} searchable.", "/index {thing}"),
    ("What do {thing} say about {topic}?", "/ask what about {topic} --on {thing}"),
)


def requests(count: int) -> list[dict[str, str]]:
    """Requests in plain words with the line that does each: an instruction set that a small model can learn."""
    rows = []
    for number, (saying, line) in enumerate(islice(cycle(_SAYINGS), count)):
        turn = number // len(_SAYINGS)
        names = {"thing": _THINGS[(turn + number) % len(_THINGS)], "topic": _TOPICS[turn % len(_TOPICS)]}
        rows.append({"instruction": saying.format(**names), "output": line.format(**names)})
    return rows
