"""One prompt answered by each checkpoint of a training: how the answer came to be what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, StoppingCriteriaList

from engine.devices import bf16_pays, set_torch_threads, torch_device
from engine.models.load import attach, load_causal, load_seq2seq
from engine.models.source import source
from engine.models.turns import prompt_tokens

if TYPE_CHECKING:
    from pathlib import Path

    from engine.jobs.context import JobContext
    from engine.training.kept import Saved


def scrub(job: JobContext, base: Path, steps: list[Saved], messages: list[dict[str, str]], tokens: int) -> list[str]:
    """Greedy answers: of the base first, then of each checkpoint in ``steps``. Raises ``ModelError``, ``Stopped``."""
    set_torch_threads(job.workspace.settings.threads)
    answers = []
    both = AutoConfig.from_pretrained(base, local_files_only=True).is_encoder_decoder
    load, dtype = (load_seq2seq, "float32") if both else (load_causal, "bfloat16" if bf16_pays() else "float32")
    for number, step in enumerate([None, *steps]):
        job.check()
        job.progress(number, len(steps) + 1, "checkpoint", f"step {step.step}" if step else "the base model")
        adapter = step is not None and (step.folder / "adapter_config.json").is_file()
        # A base is loaded anew for each adapter: some methods change its weights when they are put on it.
        model, tokenizer = load(step.folder if step and not adapter else base, dtype=dtype)
        if step and adapter:
            model = attach(model, step.folder)
        answers.append(_answer(job, model.to(torch_device()).eval(), tokenizer, messages, tokens))
    job.progress(len(steps) + 1, len(steps) + 1, "checkpoint")
    return answers


def _answer(job: JobContext, model: Any, tokenizer: Any, messages: list[dict[str, str]], tokens: int) -> str:
    both = model.config.is_encoder_decoder
    ids = torch.tensor([tokenizer(source(messages))["input_ids"] if both else prompt_tokens(tokenizer, messages)], device=model.device)

    def asked(input_ids: Any, scores: Any, **kwargs: Any) -> Any:  # noqa: ARG001 -- the signature is that of a criterion
        return torch.full((input_ids.shape[0],), job.token.asked, dtype=torch.bool, device=input_ids.device)

    with torch.inference_mode():
        written = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, use_cache=True,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, stopping_criteria=StoppingCriteriaList([asked]),
        )  # fmt: skip
    job.check()
    return str(tokenizer.decode(written[0] if both else written[0, ids.shape[1] :], skip_special_tokens=True)).strip()
