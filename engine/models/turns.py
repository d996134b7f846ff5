"""A conversation as tokens: what the model reads before its answer, and the answer as it should write it.

Training takes its loss on these tokens and evaluation measures on the same ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def prompt_tokens(tokenizer: Any, messages: Sequence[dict[str, str]]) -> list[int]:
    """The conversation as the model reads it before its answer, the opening of the answer included.

    Control tokens inside a message (``<|im_end|>`` typed by somebody) are encoded as plain text. A model with no
    chat template reads the messages as lines (:func:`plain_template`).
    """
    tokens = tokenizer.apply_chat_template(
        list(messages),
        chat_template=None if tokenizer.chat_template else plain_template(tokenizer),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
        sanitize_control_tokens=True,
    )
    return list(tokens)


def plain_template(tokenizer: Any) -> str:
    """A chat template for a base model, which has none: each message a line, the stop token after an answer; the token
    that begins a text where the tokenizer puts one."""
    start = tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    return ("{{ bos_token }}" if start else "") + (
        "{% for message in messages %}{{ message['content'] + ((eos_token or '') if message['role'] == 'assistant' else '') + '\n' }}{% endfor %}"
    )


def completion_tokens(tokenizer: Any, text: str) -> list[int]:
    """An answer as the model should write it: its text, then the stop token, where the tokenizer names one.

    It is tokenised apart from the prompt, as it is when the model writes it token by token.
    """
    stop = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return [*tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"], *stop]
