"""Text that came from a person, a dataset or a model must not act as a chat template's control tokens."""

from __future__ import annotations

import re

WORD_JOINER = "\u2060"

_CONTROL = re.compile(
    r"<(?=\|[^|<>\s]{1,40}\|>)"  # <|im_start|>, <|eot_id|>
    r"|<(?=/?s>|unk>|pad>|bos>|eos>)"
    r"|<(?=(?:start|end)_of_(?:turn|image|text)>)"
    r"|<(?=<SYS>>|</SYS>>)"
    r"|<(?=｜[^｜<>]{1,40}｜>)"  # DeepSeek's wide bars
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
)


def neutralise(text: str) -> str:
    """``text`` with an invisible word joiner inside everything that looks like a control token.

    A tokenizer then reads it as plain characters: ``<|im_end|>`` in a row of data does not end the turn. Ordinary
    text, HTML tags included, is left as it is.
    """
    return _CONTROL.sub(lambda match: match.group() + WORD_JOINER, text)
