"""What every engine refuses, in the same words."""

from __future__ import annotations

from engine.errors import ModelError


def too_long(name: str, tokens: int, context: int) -> ModelError:
    """The prompt does not fit the context window."""
    return ModelError(
        f"That is {tokens} tokens, and {name} reads at most {context}.", "Shorten it, start afresh with `clear`, or raise BITTERN_CONTEXT."
    )


def no_template(name: str) -> ModelError:
    """A base model: it goes on with a text, and knows no turns."""
    return ModelError(
        f"{name} has no chat template, so it can't chat.",
        "It can go on with a text: complete TEXT. To chat, train it (what is trained chats), or use an instruction-tuned model.",
    )


def no_tools(name: str) -> ModelError:
    """A template that leaves tools out: the model would never hear of them."""
    return ModelError(f"{name} can't call tools: its chat template knows none.", "Use a model that was tuned for them, or ask without --tools.")
