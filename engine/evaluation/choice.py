"""The task of choosing: which option a model finds the likeliest continuation of a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.devices import bf16_pays, torch_device
from engine.errors import DataError
from engine.evaluation.intervals import bootstrap, of_means
from engine.evaluation.labels import calibration_error
from engine.evaluation.likelihood import Likelihood, encode_pair, reads
from engine.evaluation.questions import Reader, columns_of
from engine.models.load import load_causal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.evaluation.questions import Question
    from engine.evaluation.tasks import Asked
    from engine.jobs.context import CancelToken


def make(asked: Asked) -> Choice:
    """Raises ``ModelError``; ``DataError`` where no columns are found."""
    columns = columns_of(asked.dataset, asked.spec.options)
    if columns is None:
        raise DataError(
            f"“{asked.dataset.name}” has no question with options that is recognised.",
            f"Name the columns: --question, --options and --answer. It has {', '.join(asked.dataset.features)}.",
        )
    model, tokenizer = load_causal(asked.folder, asked.adapter, dtype="bfloat16" if bf16_pays() else "float32")
    return Choice(model.to(torch_device()), tokenizer, Reader(columns, asked.rows[columns.answer]), asked.spec.batch_size)


class Choice:
    """The option with the highest log-likelihood after the question.

    Predictions: prompt, reference and prediction (texts of options), correct, probability (the share of the chosen
    option when the likelihoods of all are taken as shares), acc_norm (1 where the option with the highest log-likelihood
    by character is right, as in lm-evaluation-harness), options, nats (log-likelihood of each), right (a place).
    """

    def __init__(self, model: Any, tokenizer: Any, reader: Reader, batch_size: int) -> None:
        self._tokenizer, self._reader, self._batch = tokenizer, reader, batch_size
        self._likelihood = Likelihood(model, tokenizer.pad_token_id, reads(model, tokenizer))

    def usable(self, row: dict[str, Any]) -> bool:
        return self._reader.read(row) is not None

    def length(self, row: dict[str, Any]) -> int:
        return len(self._question(row).prompt)

    def predict(self, rows: Sequence[dict[str, Any]], token: CancelToken) -> list[dict[str, Any]]:
        questions = [self._question(row) for row in rows]
        pairs = [encode_pair(self._tokenizer, question.prompt, end, special=True) for question in questions for end in question.ends]
        nats: dict[int, float] = {}
        for batch in self._likelihood.batches(pairs, self._batch):
            nats |= {at: said.nats for at, said in batch}
            if token.asked:
                break
        found, at = [], 0
        for question in questions:
            count = len(question.ends)
            found.append(_judged(question, [nats.get(place, 0.0) for place in range(at, at + count)]))
            at += count
        return found

    def measure(self, predictions: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Accuracy, accuracy by length, calibration error, what guessing would have right, and ``intervals``."""
        columns: dict[str, Sequence[float]] = {
            "accuracy": [float(row["correct"]) for row in predictions], "acc_norm": [float(row["acc_norm"]) for row in predictions],
        }  # fmt: skip
        most = max(len(row["nats"]) for row in predictions)
        shares = np.array([np.pad(_shares(row["nats"]), (0, most - len(row["nats"]))) for row in predictions])
        right = np.array([row["right"] for row in predictions])
        (error,) = bootstrap(len(right), lambda drawn: np.array([calibration_error(shares[drawn], right[drawn])]))
        return {
            **{name: sum(values) / len(values) for name, values in columns.items()}, "ece": calibration_error(shares, right),
            "chance": sum(1 / len(row["nats"]) for row in predictions) / len(predictions), "intervals": {**of_means(columns), "ece": error},
        }  # fmt: skip

    def _question(self, row: dict[str, Any]) -> Question:
        found = self._reader.read(row)
        assert found is not None, "only usable rows are asked"  # noqa: S101
        return found


def _judged(question: Question, nats: list[float]) -> dict[str, Any]:
    said = int(np.argmax(nats))
    by_length = int(np.argmax([value / len(option) for value, option in zip(nats, question.options, strict=True)]))
    return {
        "prompt": question.prompt, "reference": question.options[question.right], "prediction": question.options[said],
        "correct": said == question.right, "probability": round(float(_shares(nats)[said]), 6), "acc_norm": int(by_length == question.right),
        "options": question.options, "nats": [round(value, 6) for value in nats], "right": question.right,
    }  # fmt: skip


def _shares(nats: Sequence[float]) -> np.ndarray:
    """Likelihoods as shares of their sum, float64 of shape (options,)."""
    values: np.ndarray = np.exp(np.array(nats) - max(nats))
    return np.asarray(values / values.sum())
