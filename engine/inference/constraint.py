"""Answers of a given form: one of some texts, a regular expression, or a JSON schema.

llguidance constrains both engines, built into llama.cpp and beside transformers: the same grammar means the same.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError

if TYPE_CHECKING:
    from engine.inference.protocol import Sampling

COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""JSON as ``json.dumps`` writes it: a small model left free would write white space for ever."""


def grammar(sampling: Sampling) -> str:
    """The Lark grammar (llguidance's dialect) of what the answer may be; empty where it may be anything.

    Raises ``ModelError`` for a regex or a schema that can't be followed, saying where.
    """
    if sampling.schema is not None:
        return _checked("start: %json " + json.dumps({"x-guidance": COMPACT, **sampling.schema}), "JSON schema")
    if sampling.regex:
        # A slash would end the expression, a line break the rule.
        written = sampling.regex.replace("\n", "\\n").replace("\\/", "/").replace("/", "\\/")
        return _checked(f"start: /{written}/", "regular expression")
    if sampling.choices:
        return "start: " + " | ".join(json.dumps(choice, ensure_ascii=False) for choice in sampling.choices)
    return ""


def _checked(lark: str, what: str) -> str:
    from llguidance import LLMatcher

    if told := LLMatcher.validate_grammar(LLMatcher.grammar_from_lark(lark)):
        raise ModelError(f"The {what} can't be followed: {_reason(told)}.", _WAYS[what])
    return lark


_WAYS = {
    "JSON schema": "Use the common keywords of JSON Schema: type, properties, required, enum, items, minimum, maxLength, …",
    "regular expression": "Use letters, classes, groups, | and repeats; there is no look-around and no back-reference.",
}


def _reason(told: str) -> str:
    """The last thing a compiler said, without its picture of the place."""
    lines = [line.strip() for line in told.splitlines()]
    said = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), "")
    return said or lines[0].partition(": ")[2].removeprefix("failed to compile JSON schema: ") or lines[0]


class Constraint:
    """A tokenizer prepared for grammars; making one takes about a second for a large vocabulary, so it is kept."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: list[int]) -> None:
        """``vocabulary`` is the width of the logits; ``ends`` are the ids that end an answer. Raises ``ModelError``."""
        from llguidance.hf import from_tokenizer

        try:
            self._tokenizer = from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=ends)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"This model's tokenizer can't follow a form: {error}", "Use a model with a tokenizer.json.") from None

    def processor(self, lark: str, prompt: int) -> Any:
        """A ``LogitsProcessor`` for one ``generate`` call of one sequence whose prompt has ``prompt`` tokens."""
        import numpy as np
        import torch
        from llguidance import LLMatcher
        from transformers import LogitsProcessor

        matcher = LLMatcher(self._tokenizer, LLMatcher.grammar_from_lark(lark))

        class Only(LogitsProcessor):  # type: ignore[misc]
            read = prompt

            def __call__(self, input_ids: Any, scores: Any) -> Any:
                for token in input_ids[0, self.read :].tolist():
                    matcher.consume_token(token)
                self.read = input_ids.shape[1]
                bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")[: scores.shape[-1]]
                allowed = torch.from_numpy(bits.astype(bool)).to(scores.device)
                return scores.masked_fill(~allowed, float("-inf"))

        return Only()
