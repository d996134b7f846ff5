"""What an encoder-decoder reads of a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def source(messages: Sequence[dict[str, Any]]) -> str:
    """The text that an encoder-decoder reads: the one message as it is, or, of several, a line for each with who said it.

    T5 and BART know no turns; training, evaluation and chat all show them a conversation in this way.
    """
    if len(messages) == 1:
        return str(messages[0]["content"])
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)
