"""The task of a tagger: a tag for each word, measured by the entities that the tags spell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.data import marked
from engine.data.tags import spell_entities, told
from engine.evaluation.tags import counts, tagged
from engine.inference.heads import Head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.evaluation.tasks import Asked
    from engine.jobs.context import CancelToken


def make(asked: Asked) -> Tagging:
    """Raises ``ModelError``."""
    return Tagging(asked)


class Tagging:
    """Predictions: prediction and reference (the entities, in words), correct (every tag is right), tags (of words: said
    and meant), counts (entities found rightly, found, meant), probability (that of the tag it was least sure of)."""

    def __init__(self, asked: Asked) -> None:
        self._record, self._head = asked.dataset, Head(asked.folder, "tagger")
        self._entities = spell_entities(self._head.names)

    def usable(self, row: dict[str, Any]) -> bool:
        words = marked.words_of(self._record, row)
        return any(word.strip() for word in words) and len(words) == len(marked.tags_of(self._record, row))

    def length(self, row: dict[str, Any]) -> int:
        return sum(map(len, marked.words_of(self._record, row)))

    def predict(self, rows: Sequence[dict[str, Any]], token: CancelToken) -> list[dict[str, Any]]:  # noqa: ARG002
        words = [marked.words_of(self._record, row) for row in rows]
        found = []
        for row, of_row, pairs in zip(rows, words, self._head.tags(words), strict=True):
            said, meant = [tag for tag, _ in pairs], marked.tags_of(self._record, row)
            kept = {
                "prompt": " ".join(of_row), "reference": told(of_row, meant, every=not self._entities),
                "prediction": told(of_row, said, every=not self._entities), "correct": said == meant, "tags": [said, meant],
                "probability": min(probability for _, probability in pairs),
            }  # fmt: skip
            found.append({**kept, "counts": list(counts(said, meant))} if self._entities else kept)
        return found

    def measure(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        found = tagged([row["tags"][0] for row in predictions], [row["tags"][1] for row in predictions])
        if not self._entities:
            found = {"tag_accuracy": found["tag_accuracy"], "intervals": {"tag_accuracy": found["intervals"]["tag_accuracy"]}}
        return {**found, "exact_match": sum(row["correct"] for row in predictions) / len(predictions)}
