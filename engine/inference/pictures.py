"""Pictures in what is said: for servers and engines that see, and a clear word for those that do not."""

from __future__ import annotations

import base64
import io
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


def eyeless(name: str, why: str) -> ModelError:
    """A model that would see, if its processor's files were there."""
    return ModelError(f"{name} can't see: {why}.", "Pull the model again, with all its files; without pictures it chats as it is.")


def opened(message: Message) -> Message:
    """A message as a transformers processor takes it: parts, the pictures opened. Raises ``ModelError`` for one that can't
    be read."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return {**message, "content": [{"type": "text", "text": content}] if content else []}
    return {**message, "content": [{"type": "image", "image": _open(part["image"])} if part["type"] == "image" else part for part in content]}


def _open(image: str) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(base64.b64decode(image.partition(",")[2])) if image.startswith("data:") else image) as found:
            return found.convert("RGB")
    except (OSError, ValueError, UnidentifiedImageError) as error:
        shown = "data" if image.startswith("data:") else image
        raise ModelError(f"The picture {shown} can't be read: {type(error).__name__}.", "Attach it again, in a new conversation.") from None


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
