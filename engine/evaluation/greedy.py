"""What a model writes greedily, token by token, with the log-probability of each: through transformers and llama.cpp.

For a job's process: it loads torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.devices import torch_device
from engine.models.load import load_causal, load_seq2seq
from engine.models.source import source
from engine.models.turns import prompt_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.jobs.context import CancelToken
    from engine.settings import Settings
    from engine.store.models import ModelRecord

Chat = list[dict[str, str]]
"""Messages up to the one that is to be answered."""
LONGEST = 1024
"""Tokens of a prompt: of a longer one the beginning is left out."""
BATCH = 8


@dataclass(frozen=True, slots=True)
class Written:
    """``prompt`` and ``tokens`` are ids, ``nats`` the log-probability of each of ``tokens``. The token that ends an answer
    is not among them: ``ended`` says whether it came."""

    prompt: list[int]
    tokens: list[int]
    nats: list[float]
    ended: bool


def by_transformers(
    folder: Path, adapter: Path | None, kind: str, chats: Sequence[Chat], tokens: int, token: CancelToken, each: Callable[[int], object]
) -> tuple[list[Written], Any]:
    """``(answers, tokenizer)``: at most ``tokens`` of each answer, in float32, from files that are loaded now and let go.

    ``each`` hears how many are done. Raises ``ModelError``, ``Stopped``.
    """
    import torch

    both = kind == "seq2seq"
    model, tokenizer = load_seq2seq(folder, dtype="float32") if both else load_causal(folder, adapter, dtype="float32")
    model = model.to(torch_device())
    prompts = [_prompt(tokenizer, chat, both=both)[-LONGEST:] for chat in chats]
    # Virtual tokens stand before all of the row: with padding between them and the text they would not be what was learnt.
    size = 1 if any(getattr(config, "is_prompt_learning", False) for config in getattr(model, "peft_config", {}).values()) else BATCH
    found: list[Written] = []
    for start in range(0, len(prompts), size):
        token.check()
        with torch.inference_mode():
            found += _batch(model, tokenizer, prompts[start : start + size], tokens, token)
        each(len(found))
    token.check()
    return found, tokenizer


def by_llama(
    record: ModelRecord, settings: Settings, chats: Sequence[Chat], tokens: int, token: CancelToken, each: Callable[[int], object]
) -> list[Written]:  # fmt: skip
    """The same through llama.cpp, which cuts the prompts by its own template and tokenizer. Raises ``ModelError``, ``Stopped``."""
    from engine.inference.llamacpp import LlamaCpp

    server = LlamaCpp(record, settings.model_copy(update={"precise": True, "context": LONGEST + tokens + 64, "lookup": 0}), cpu=True)
    found: list[Written] = []
    try:
        for chat in chats:
            token.check()
            prompt, pairs, ended = server.greedy(chat, LONGEST, tokens)
            found.append(Written(prompt, [number for number, _ in pairs], [nats for _, nats in pairs], ended))
            each(len(found))
    finally:
        server.close()
    return found


def _prompt(tokenizer: Any, chat: Chat, *, both: bool) -> list[int]:
    if both:
        return list(tokenizer(source(chat))["input_ids"])
    if tokenizer.chat_template:
        return prompt_tokens(tokenizer, chat)
    return list(tokenizer(chat[-1]["content"])["input_ids"])


def _batch(model: Any, tokenizer: Any, prompts: list[list[int]], tokens: int, token: CancelToken) -> list[Written]:
    import torch
    from transformers import GenerationConfig, StoppingCriteriaList

    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), tokenizer.pad_token_id)
    mask = torch.zeros_like(ids)
    both = model.config.is_encoder_decoder
    for at, prompt in enumerate(prompts):
        place = slice(0, len(prompt)) if both else slice(longest - len(prompt), longest)
        ids[at, place], mask[at, place] = torch.tensor(prompt), 1
    own = model.generation_config
    ends = {tokenizer.eos_token_id, *(own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id])} - {None}
    how = GenerationConfig(
        max_new_tokens=tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id, eos_token_id=sorted(ends),
        decoder_start_token_id=own.decoder_start_token_id, output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip

    def asked(input_ids: Any, scores: Any, **kwargs: Any) -> Any:  # noqa: ARG001 -- the signature is that of a criterion
        return torch.full((input_ids.shape[0],), token.asked, dtype=torch.bool, device=input_ids.device)

    out = model.generate(
        input_ids=ids.to(model.device), attention_mask=mask.to(model.device), generation_config=how, stopping_criteria=StoppingCriteriaList([asked])
    )
    token.check()
    made = out.sequences[:, -len(out.logits) :].cpu()
    likely = torch.stack([step.float().log_softmax(-1).cpu() for step in out.logits], 1)  # (rows, tokens, vocabulary)
    nats = likely.gather(-1, made.unsqueeze(-1)).squeeze(-1)
    return [_cut(prompt, row, said, ends) for prompt, row, said in zip(prompts, made.tolist(), nats.tolist(), strict=True)]


def _cut(prompt: list[int], tokens: list[int], nats: list[float], ends: set[int]) -> Written:
    last = next((at for at, number in enumerate(tokens) if number in ends), None)
    return Written(prompt, tokens[:last], nats[:last], last is not None)
