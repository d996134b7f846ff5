"""Pictures in what is said: for servers and engines that see, and a clear word for those that do not."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError

if TYPE_CHECKING:
    from engine.inference.protocol import Message


def pictured(messages: list[Message]) -> bool:
    """Whether a picture is in one of the messages."""
    return any(part["type"] == "image" for message in messages if isinstance(message.get("content"), list) for part in message["content"])


def blind(name: str) -> ModelError:
    """A model that does not see."""
    return ModelError(
        f"{name} does not see: a picture went along.",
        "Use a model that sees, or start anew without it: clear (`attach --none` takes off what is attached and not yet said).",
    )


def sent(message: Message) -> Message:
    """A message as servers take it: its pictures inside, as data. Raises ``ModelError`` for one that can't be read."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_data(part["image"]) if part["type"] == "image" else part for part in content]}


def _data(image: str) -> dict[str, Any]:
    if not image.startswith("data:"):
        try:
            data = base64.b64encode(Path(image).read_bytes()).decode()
        except OSError as error:
            raise ModelError(f"The picture {image} can't be read: {error.strerror}.", "Attach it again, in a new conversation.") from None
        image = f"data:{mimetypes.guess_type(image)[0] or 'image/png'};base64,{data}"
    return {"type": "image_url", "image_url": {"url": image}}
