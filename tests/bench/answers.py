"""Answers on XQuAD: is the cited row the passage the question was written on, does the answer hold the gold words,
and is a question about something else refused? Skipped where the data is absent.

The weights of ``engine.answer.evidence`` were fitted on the questions of even number; these are of odd number.
``python -m tests.bench.answers 40`` asks only 40.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.devices import prepare_environment

prepare_environment()
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
NAME = "bench-qa-xquad"
BEFORE = "in|at|of|by|under|during|to|for|between|with|from|about|on"

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.search.reader import Hit, Reader
    from engine.store.datasets import DatasetRecord


class Without:
    """A reader that does not find one row: the dataset as it would be if nobody had written it."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self.row = reader, -1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def search(self, dataset: str, query: str, k: int, cancel: Any) -> list[Hit]:
        return [hit for hit in self._reader.search(dataset, query, k=k + 1, cancel=cancel) if hit.row != self.row][:k]


def questions() -> list[dict[str, Any]]:
    with (DATA / "qa-xquad" / "en.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def elsewhere(count: int) -> list[str]:
    """Questions about something else: what bank customers ask, and what computer scientists looked for in 1979."""
    with (DATA / "cls-banking77" / "test.csv").open(encoding="utf-8") as file:
        bank = [row["text"] for row in csv.DictReader(file)]
    with (DATA / "ir-cacm" / "queries.jsonl").open(encoding="utf-8") as file:
        science = [json.loads(line)["text"] for line in file]
    return [*bank[:: max(1, len(bank) // count)][:count], *science]


def prepared(contexts: list[str]) -> tuple[Reader, DatasetRecord]:
    """The passages as an indexed dataset."""
    from datasets import Dataset

    from engine.jobs.context import CancelToken, JobContext
    from engine.search.index import build
    from engine.search.reader import Reader
    from engine.store.datasets import DatasetRecord
    from tests.bench.home import bench_home

    workspace = bench_home("minilm")
    folder = workspace.paths.datasets / NAME
    Dataset.from_dict({"text": contexts}).save_to_disk(str(folder / "train"))
    record = DatasetRecord(NAME, NAME, str(folder), str(len(contexts)), {"train": len(contexts)}, {"text": "string"}, "text", {"text": "text"}, 0)
    workspace.datasets.put(record)
    build(JobContext("0", workspace, lambda event: None, CancelToken(), resumed=False), record, "minilm", [])
    return Reader(workspace, hosted=False), record


def nearest(reader: Reader, question: str) -> tuple[int, str]:
    """The baseline: of the nearest passage, the sentence nearest to the question."""
    from engine.answer.words import sentences

    hit = reader.search(NAME, question, k=1, mode="dense")[0]
    found = sentences(hit.text)
    cosines = reader.rank(NAME, question, found)
    return hit.row, found[cosines.index(max(cosines))]


def follow_ups(rows: list[dict[str, Any]], count: int) -> list[tuple[str, str, dict[str, Any]]]:
    """Questions that lean on the one before them, made from pairs on one passage: the topic of the first, where the
    second says it too after a preposition, becomes “it”. Each is (before, with “it”, the row of the second)."""
    from engine.answer.rewrite import topic_of

    found = []
    for before, row in pairwise(rows):
        topic = topic_of(before["question"])
        if before["context"] == row["context"] and topic and f" {topic.lower()}" in row["question"].lower():
            place = (
                rf"\b({BEFORE}) (?:the )?{re.escape(topic)}(?=\s*\?|\s+(?:in|at|for|by|to|from|with|is|was|are|were|had|has|and|as|during|when)\b)"
            )
            leaning = re.sub(place, r"\1 it", row["question"], count=1, flags=re.IGNORECASE)
            if leaning != row["question"]:
                found.append((before["question"], leaning, row))
    return found[:: max(1, len(found) // count)][:count]


def row_of(data: dict[str, Any], number: int) -> int:
    return int(data["passages"][number - 1]["address"].rsplit("/", 1)[-1])


def found_and_cited(ask: Callable[..., dict[str, Any]], reader: Any, held: list[dict[str, Any]], contexts: list[str]) -> None:
    """Whether the answers come from the right passage, beside the nearest sentence of the nearest passage."""
    began = time.monotonic()
    answers = [ask(row["question"]) for row in held]
    took = time.monotonic() - began
    baseline = [nearest(reader, row["question"]) for row in held]
    gold = [contexts.index(row["context"]) for row in held]
    spans = [row["answers"]["text"] for row in held]

    def share(test: Callable[[int], bool]) -> str:
        return f"{sum(test(at) for at in range(len(held))) / len(held):>8.3f}"

    said = [answer["sentences"][0]["spans"][0]["text"] if answer["found"] else "" for answer in answers]
    cited = [row_of(answer, answer["cited"][0]) if answer["found"] else -1 for answer in answers]
    print(f"{len(held)} questions of qa-xquad on {len(contexts)} passages          answers  nearest sentence of the nearest passage")
    print(
        f"  the cited row is the gold passage (goal .85)   {share(lambda at: cited[at] == gold[at])} {share(lambda at: baseline[at][0] == gold[at])}"
    )
    held_words = share(lambda at: any(span in said[at] for span in spans[at]))
    print(f"  the answer holds the gold words                {held_words} {share(lambda at: any(span in baseline[at][1] for span in spans[at]))}")
    words = sum(len(text.split()) for text in said) / len(held)
    print(f"  words in an answer                             {words:>8.1f} {sum(len(text.split()) for _, text in baseline) / len(held):>8.1f}")
    print(f"  false “nothing”                                {share(lambda at: not answers[at]['found'])}")
    print(f"  seconds an answer                              {took / len(held):>8.2f}")


def follow(ask: Callable[..., dict[str, Any]], leaning: list[tuple[str, str, dict[str, Any]]], contexts: list[str]) -> None:
    """Follow-ups as they stand, rewritten, and as they were first written."""
    from engine.answer.rewrite import rewrite

    def right(question: str, row: dict[str, Any]) -> bool:
        data = ask(question)
        return bool(data["found"]) and row_of(data, data["cited"][0]) == contexts.index(row["context"])

    print(f"{len(leaning)} follow-ups, their topic said as “it”; the cited row is the gold passage")
    print(f"  as they stand                                  {sum(right(said, row) for _, said, row in leaning) / len(leaning):>8.3f}")
    print(
        f"  rewritten with the question before             {sum(right(rewrite(said, before), row) for before, said, row in leaning) / len(leaning):>8.3f}"
    )
    print(f"  as they were first written                     {sum(right(row['question'], row) for *_, row in leaning) / len(leaning):>8.3f}")


def main() -> None:
    if not (DATA / "qa-xquad").is_dir():
        print("qa-xquad is not here, skipped")
        return
    from engine.answer.answer import Answering
    from engine.jobs.context import CancelToken

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rows = questions()
    contexts = list(dict.fromkeys(row["context"] for row in rows))
    held = rows[1::2]
    held = held[:: len(held) // count][:count]
    reader, record = prepared(contexts)
    without = Without(reader)

    def ask(question: str, door: Any = reader) -> dict[str, Any]:
        return Answering(door, record, lambda event: None, CancelToken()).answer(question, question, 3, None)

    found_and_cited(ask, reader, held, contexts)
    others = elsewhere(count // 2)
    wrong = sum(ask(question)["found"] for question in others)
    print(
        f"{len(others)} questions about something else (banking77, cacm)\n  answered all the same                          {wrong / len(others):>8.3f}"
    )
    missed = 0
    for row in held:
        without.row = contexts.index(row["context"])
        missed += ask(row["question"], without)["found"]
    print(f"the {len(held)} questions with their passage taken away\n  answered all the same, from a near one          {missed / len(held):>8.3f}")
    follow(ask, follow_ups(rows, count // 4), contexts)


if __name__ == "__main__":
    main()
