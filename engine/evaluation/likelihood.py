"""How likely a model finds continuations of prompts. What several continuations share is computed once: the prompt of all
options of a question, and what all prompts of a batch begin with (a few-shot preamble)."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

Pair = tuple[list[int], list[int]]
"""A prompt and a continuation, as token ids; neither is empty."""
WORTH = 16
"""Tokens that all prompts of a batch must begin with to be computed apart."""
MOST_LOGITS = 2**28
"""Numbers in the logits of one batch of continuations: a gibibyte of float32."""


class Said(NamedTuple):
    """``nats`` is the log-likelihood of a continuation; ``greedy``: the model would have written it."""

    nats: float
    greedy: bool


@dataclass(slots=True)
class Group:
    """A prompt, and its continuations by their place in what was asked."""

    prompt: list[int]
    ends: dict[int, list[int]] = field(default_factory=dict)


def encode_pair(tokenizer: Any, context: str, continuation: str, *, special: bool = False) -> Pair:
    """A text cut into a prompt and what follows, tokenised as one text, as lm-evaluation-harness does it: white space at
    the end of the context goes to the continuation. ``special``: with the tokenizer's own special tokens."""
    spaces = len(context) - len(context.rstrip())
    if spaces:
        continuation, context = context[-spaces:] + continuation, context[:-spaces]
    prompt = list(tokenizer.encode(context, add_special_tokens=special))
    return prompt, list(tokenizer.encode(context + continuation, add_special_tokens=special))[len(prompt) :]


def reads(model: Any, tokenizer: Any, otherwise: int = 2048) -> int:
    """How many tokens the model reads: by its config, else by its tokenizer."""
    config = (model.get_base_model() if hasattr(model, "get_base_model") else model).config.get_text_config()
    for name in ("n_positions", "max_position_embeddings", "n_ctx"):
        if found := getattr(config, name, None):
            return int(found)
    return int(tokenizer.model_max_length) if tokenizer.model_max_length < 10**9 else otherwise


class Likelihood:
    """Scores pairs on a causal model that is in ``eval`` mode."""

    def __init__(self, model: Any, pad: int, longest: int) -> None:
        """``pad`` is any token's id; ``longest`` is how many tokens the model reads: of more, the first are left out."""
        self._model, self._pad, self._longest = model, pad, longest
        self._vocabulary = int(model.get_input_embeddings().num_embeddings)
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        known = inspect.signature(inner.forward).parameters
        self._places, self._last = "position_ids" in known, "logits_to_keep" in known
        self.shares = _shares(model, inner)
        """Whether a prompt is read once for all its continuations."""

    def score(self, pairs: Sequence[Pair], batch_size: int = 8) -> list[Said]:
        """The likelihood of each continuation after its prompt, in order."""
        found = dict(item for batch in self.batches(pairs, batch_size) for item in batch)
        return [found[at] for at in range(len(pairs))]

    def batches(self, pairs: Sequence[Pair], batch_size: int = 8) -> Iterator[list[tuple[int, Said]]]:
        """:meth:`score`, a batch of ``batch_size`` prompts at a time, the longest first; each with its place in ``pairs``."""
        import torch

        for batch in self._planned(pairs, batch_size):
            with torch.inference_mode():
                yield self._shared(batch) if self.shares else self._whole(batch)

    def _planned(self, pairs: Sequence[Pair], batch_size: int) -> Iterator[list[Group]]:
        groups: dict[tuple[int, ...], Group] = {}
        for at, (prompt, end) in enumerate(pairs):
            # The last token is foretold, not read.
            room = max(1, self._longest + 1 - len(end))
            kept = prompt[-room:]
            groups.setdefault(tuple(kept), Group(kept)).ends[at] = end
        batch: list[Group] = []
        for group in sorted(groups.values(), key=lambda group: -len(group.prompt)):
            batch.append(group)
            ends = [end for member in batch for end in member.ends.values()]
            if len(batch) > 1 and (len(batch) > batch_size or len(ends) * max(map(len, ends)) * self._vocabulary > MOST_LOGITS):
                yield batch[:-1]
                batch = [group]
        if batch:
            yield batch

    def _shared(self, batch: list[Group]) -> list[tuple[int, Said]]:
        """Prompts once, then the continuations on what was kept of them."""
        import torch

        count = len(batch)
        common = _common([group.prompt for group in batch]) if count > 1 else 0
        cache, seen = None, torch.zeros((count, 0), dtype=torch.long, device=self._model.device)
        if common >= WORTH:
            first = torch.tensor([batch[0].prompt[:common]], device=self._model.device)
            cache = self._read(first, torch.ones_like(first), None).past_key_values
            cache.batch_select_indices(torch.zeros(count, dtype=torch.long, device=first.device))
            seen = torch.ones((count, common), dtype=torch.long, device=first.device)
        else:
            common = 0
        ids, mask = self._padded([group.prompt[common:] for group in batch], left=True)
        out = self._read(ids, torch.cat([seen, mask], 1), cache)
        seen = torch.cat([seen, mask], 1)
        begins = out.logits[:, -1].float()  # (prompts, vocabulary)
        owners = [number for number, group in enumerate(batch) for _ in group.ends]
        ends = [end for group in batch for end in group.ends.values()]
        firsts = torch.tensor([end[0] for end in ends], device=ids.device)
        whose = torch.tensor(owners, device=ids.device)
        likely = begins.log_softmax(-1)
        nats, greedy = likely[whose, firsts].double(), begins.argmax(-1)[whose] == firsts
        if max(map(len, ends)) > 1:
            cache = out.past_key_values
            cache.batch_select_indices(whose)
            more, agreed = self._rest(ends, cache, seen[whose])
            nats, greedy = nats + more, greedy & agreed
        places = [at for group in batch for at in group.ends]
        return [(at, Said(value, same)) for at, value, same in zip(places, nats.tolist(), greedy.tolist(), strict=True)]

    def _rest(self, ends: list[list[int]], cache: Any, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Nats and agreement of all but the first token of each continuation, each of shape (continuations,)."""
        import torch

        # A continuation of one token reads a stand-in, which foretells nothing.
        ids, mask = self._padded([end[:-1] or [self._pad] for end in ends], left=False)
        targets = torch.zeros_like(ids)
        counted = torch.zeros_like(mask, dtype=torch.bool)
        for at, end in enumerate(ends):
            targets[at, : len(end) - 1] = torch.tensor(end[1:], device=ids.device)
            counted[at, : len(end) - 1] = True
        logits = self._read(ids, torch.cat([seen, mask], 1), cache, whole=True).logits
        return _nats(logits, targets, counted)

    def _whole(self, batch: list[Group]) -> list[tuple[int, Said]]:
        """Each prompt read with each of its continuations."""
        import torch

        pairs = [(at, group.prompt, end) for group in batch for at, end in group.ends.items()]
        found: list[tuple[int, Said]] = []
        for start in range(0, len(pairs), len(batch)):
            part = pairs[start : start + len(batch)]
            ids, mask = self._padded([[*prompt, *end][:-1] for _, prompt, end in part], left=False)
            targets, counted = torch.zeros_like(ids), torch.zeros_like(mask, dtype=torch.bool)
            for row, (_, prompt, end) in enumerate(part):
                place = slice(len(prompt) - 1, len(prompt) + len(end) - 1)
                targets[row, place] = torch.tensor(end, device=ids.device)
                counted[row, place] = True
            # Virtual tokens of a prompt-tuned adapter stand before the rest.
            logits = self._model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, -ids.shape[1] :]
            nats, greedy = _nats(logits, targets, counted)
            found += [(at, Said(*said)) for (at, _, _), said in zip(part, zip(nats.tolist(), greedy.tolist(), strict=True), strict=True)]
        return found

    def _read(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any, *, whole: bool = False) -> Any:
        """A forward pass over ``ids``, int64 of shape (rows, tokens), behind ``cache``; ``mask`` covers both."""
        more: dict[str, Any] = {"logits_to_keep": 1} if self._last and not whole else {}
        if self._places:
            more["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        return self._model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **more)

    def _padded(self, rows: list[list[int]], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """``(ids, mask)``, int64 of shape (rows, longest), on the model's device."""
        import torch

        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self._pad)
        mask = torch.zeros_like(ids)
        for at, row in enumerate(rows):
            start = longest - len(row) if left else 0
            ids[at, start : start + len(row)] = torch.tensor(row)
            mask[at, start : start + len(row)] = 1
        return ids.to(self._model.device), mask.to(self._model.device)


def _nats(logits: torch.Tensor, targets: torch.Tensor, counted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of log-likelihoods over the ``counted`` targets, float64 of shape (rows,), and whether each was the likeliest."""
    logits = logits.float()
    each = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
    agreed = (logits.argmax(-1) == targets) | ~counted
    return (each.double() * counted).sum(-1), agreed.all(-1)


def _common(prompts: Sequence[list[int]]) -> int:
    """Tokens that all prompts begin with, leaving at least one of each."""
    shortest, longest = min(prompts), max(prompts)
    most = min(map(len, prompts)) - 1
    return next((at for at in range(most) if shortest[at] != longest[at]), most)


def _shares(model: Any, inner: Any) -> bool:
    """Whether what the model keeps of a prompt can be given to several continuations: full attention in every layer, and
    no adapter of virtual tokens."""
    if any(getattr(config, "is_prompt_learning", False) for config in getattr(model, "peft_config", {}).values()):
        return False
    config = inner.config.get_text_config()
    layers = getattr(config, "layer_types", None)
    if layers is None:
        return "past_key_values" in inspect.signature(inner.forward).parameters and not getattr(config, "sliding_window", None)
    return set(layers) == {"full_attention"}
