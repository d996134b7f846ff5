"""lm-evaluation-harness on a model that is here: its tasks from files, our likelihoods. For a job's process; an extra."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from engine.errors import DataError
from engine.evaluation import kept
from engine.evaluation.intervals import of_means
from engine.evaluation.likelihood import Likelihood, reads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.jobs.context import JobContext

NAMES = {"acc": "accuracy", "acc_norm": "acc_norm", "exact_match": "exact_match"}
"""What the harness calls a figure, and what it is called here."""


class OurLM(TemplateLM):  # type: ignore[misc]
    """A loaded model, as the harness asks of it. Answers are kept in ``file``, so that a killed job asks only the rest."""

    def __init__(self, model: Any, tokenizer: Any, batch_size: int, job: JobContext | None = None, file: Path | None = None) -> None:
        super().__init__()
        self.tokenizer, self.batch_size, self._model, self._job, self._file = tokenizer, batch_size, model, job, file
        self._likelihood = Likelihood(model, tokenizer.pad_token_id, reads(model, tokenizer))
        self._known = {row["key"]: row["said"] for row in kept.mend(file)} if file else {}

    @property
    def eot_token_id(self) -> int:
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        return int(self.tokenizer.bos_token_id if self.tokenizer.bos_token_id is not None else self.tokenizer.eos_token_id)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:  # noqa: ARG002
        begun = add_special_tokens is None and string.startswith(self.tokenizer.decode(self.prefix_token_id))
        special = not begun if add_special_tokens is None else add_special_tokens
        return list(self.tokenizer.encode(string, add_special_tokens=special))

    def _loglikelihood_tokens(self, requests: Sequence[Any], **kwargs: Any) -> list[tuple[float, bool]]:  # noqa: ARG002
        pairs = [(list(prompt), list(end)) for _, prompt, end in requests]
        keys = [_key(pair) for pair in pairs]
        # A question that is asked twice is answered once.
        open_ = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._known}
        names = list(open_)
        self._progress(len(pairs) - len(names), len(pairs), "likelihoods")
        done = len(pairs) - len(names)
        for batch in self._likelihood.batches(list(open_.values()), self.batch_size) if names else ():
            self._keep([(names[at], list(said)) for at, said in batch])
            done += len(batch)
            self._progress(done, len(pairs), "likelihoods")
        return [(float(nats), bool(greedy)) for nats, greedy in (self._known[key] for key in keys)]

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:  # noqa: ARG002
        found = []
        for request in requests:
            tokens = self.tok_encode(request.args[0])
            windows = get_rolling_token_windows(tokens, self.prefix_token_id, reads(self._model, self.tokenizer), 1)
            found.append(sum(nats for nats, _ in self._loglikelihood_tokens([(None, *make_disjoint_window(window)) for window in windows])))
        return found

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002
        asked = [request.args for request in requests]
        keys = [_key(args) for args in asked]
        for at, (key, (context, how)) in enumerate(zip(keys, asked, strict=True)):
            if key not in self._known:
                self._keep([(key, self._write(context, how))])
            self._progress(at + 1, len(asked), "answers")
        return [self._known[key] for key in keys]

    def _write(self, context: str, how: dict[str, Any]) -> str:
        import torch
        from transformers import GenerationConfig
        from transformers.generation import StoppingCriteriaList, StopStringCriteria

        settings: dict[str, Any] = dict(normalize_gen_kwargs(how, 256))
        until = handle_stop_sequences(settings.pop("until", None), eos=self.tokenizer.decode(self.eot_token_id))
        room = int(settings.pop("max_gen_toks"))
        sampled = bool(settings.get("do_sample"))
        ids = torch.tensor([self.tok_encode(context)[-(reads(self._model, self.tokenizer) - room) :]], device=self._model.device)
        config = GenerationConfig(
            max_new_tokens=room, do_sample=sampled, pad_token_id=self.tokenizer.pad_token_id, eos_token_id=self.eot_token_id,
            **({"temperature": settings["temperature"]} if sampled and settings.get("temperature") else {}),
        )  # fmt: skip
        stops = StoppingCriteriaList([StopStringCriteria(self.tokenizer, [stop for stop in until if stop])])
        with torch.inference_mode():
            out = self._model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config, stopping_criteria=stops)
        return str(postprocess_generated_text(self.tokenizer.decode(out[0, ids.shape[1] :]), until, None))

    def _keep(self, found: list[tuple[str, Any]]) -> None:
        self._known |= dict(found)
        if self._file:
            kept.append(self._file, [{"key": key, "said": said} for key, said in found])

    def _progress(self, done: int, total: int, unit: str) -> None:
        if self._job:
            self._job.check()
            self._job.progress(done, total, unit)


def measured(lm: OurLM, config: dict[str, Any], rows: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """``(metrics, predictions)`` of a task; ``rows`` 0 for all. Figures go by our names where they have one. Raises
    ``DataError`` for a task that the harness does not take."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    name = str(config["task"])
    try:
        found = simple_evaluate(model=lm, tasks=[config], task_manager=TaskManager(include_defaults=False), limit=rows or None, bootstrap_iters=0)
    except (ValueError, KeyError, AttributeError, TypeError, FileNotFoundError) as error:
        raise DataError(
            f"The harness does not take the task “{name}”: {str(error).splitlines()[0] if str(error) else type(error).__name__}."
        ) from error
    figures = {
        key.partition(",")[0]: value for key, value in found["results"][name].items() if isinstance(value, (int, float)) and "_stderr" not in key
    }
    samples = sorted(found["samples"][name], key=lambda sample: int(sample["doc_id"]))
    predictions = [_prediction(name, sample) for sample in samples]
    columns: dict[str, Sequence[float]] = {
        NAMES.get(metric, metric): [float(sample[metric]) for sample in samples]
        for metric in figures if all(isinstance(sample.get(metric), (int, float)) for sample in samples)
    }  # fmt: skip
    metrics = {NAMES.get(metric, metric): float(value) for metric, value in figures.items() if metric not in ("sample_len", "sample_count")}
    return {**metrics, "intervals": of_means(columns) if columns else {}}, predictions


def _prediction(task: str, sample: dict[str, Any]) -> dict[str, Any]:
    asked = sample["arguments"]
    first = next(iter(asked.values())) if isinstance(asked, dict) else asked[0]
    prompt = first["arg_0"] if isinstance(first, dict) else first[0]
    row: dict[str, Any] = {
        "row": int(sample["doc_id"]), "address": f"{task}/{sample['doc_id']}", "prompt": str(prompt), "reference": str(sample["target"]),
        "prediction": json.dumps(sample["filtered_resps"], default=str, ensure_ascii=False),
    }  # fmt: skip
    if (right := next((sample[metric] for metric in ("acc", "exact_match") if metric in sample), None)) is not None:
        row["correct"] = bool(right)
    if "acc_norm" in sample:
        row["acc_norm"] = int(sample["acc_norm"])
    return row


def _key(asked: Any) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:32]
