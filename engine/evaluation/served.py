"""The task of a model behind a server: what it writes. A server tells no likelihood of an answer that is given to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from engine.data.shape import as_messages
from engine.evaluation.answers import Answers
from engine.inference.endpoint import Endpoint
from engine.inference.guard import neutralise
from engine.inference.patient import patiently
from engine.inference.protocol import Sampling
from engine.inference.thoughts import CLOSE, OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.evaluation.tasks import Asked
    from engine.jobs.context import CancelToken


class Served(Answers):
    """As :class:`Answers` without what a model finds likely: ``batch_size`` rows are asked at once, greedily.

    Predictions have ``cut`` where an answer ended at its longest. What a model thought before it is not measured.
    """

    def __init__(self, asked: Asked) -> None:
        """Raises ``ModelError`` where the key is missing."""
        self._job, self._spec, self._record = asked.job, asked.spec, asked.dataset
        self._model = asked.job.workspace.models.get(asked.spec.model)
        self._doors = [Endpoint(self._model, asked.job.workspace.settings) for _ in range(asked.spec.batch_size)]
        self.labels = []

    def predict(self, rows: Sequence[dict[str, Any]], token: CancelToken) -> Iterator[dict[str, Any]]:
        """In order, each as it comes. Raises ``ModelError`` at the first that a server does not answer."""
        with ThreadPoolExecutor(len(rows), "served") as threads:
            yield from threads.map(lambda door, row: self._answered(door, as_messages(self._record, row), token), self._doors, rows)

    def measure(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        if cut := sum("cut" in row for row in predictions):
            self._job.log(
                f"{cut} of {len(predictions)} answers were cut off at {self._spec.max_tokens} tokens: --max-tokens says how many.", "warning"
            )
        return {"backend": f"{self._model.facts['model']} at {self._model.facts['url']}", **self._of_words(predictions)}

    def _answered(self, door: Endpoint, chat: list[dict[str, str]], token: CancelToken) -> dict[str, Any]:
        how = Sampling(temperature=0, top_p=1, top_k=0, repetition_penalty=1, max_tokens=self._spec.max_tokens, seed=0)
        # A server's template may take what a row holds for a turn's end.
        prompt = [{**message, "content": neutralise(message["content"])} for message in chat[:-1]]
        said = patiently(self._job, lambda: "".join(door.stream(prompt, how, token)))
        thought, _, rest = said.rpartition(CLOSE)
        words = "" if said.startswith(OPEN) and not thought else rest.strip()
        reference = chat[-1]["content"]
        cut = {"cut": True} if door.usage.finish == "length" else {}
        return {"prompt": chat[-2]["content"], "reference": reference, **self._judged(words, reference), **cut}
