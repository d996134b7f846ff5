"""Models that see: a language model with eyes, as transformers keeps them, and the processor that cuts pictures for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engine.errors import ModelError
from engine.models.load import cannot_load, first_line, load_tokenizer, separate_pad
from engine.models.tensors import check_folder

if TYPE_CHECKING:
    from pathlib import Path

EYES = ("preprocessor_config.json", "processor_config.json")
"""What says how pictures are cut: the older way, and the one of all parts in one file."""


def sees(config: dict[str, Any]) -> bool:
    """Whether a config is that of a chat model with eyes: LLaVA, SmolVLM, Qwen2-VL and their like. One whose answer is
    written by a decoder of its own (Florence) does not chat."""
    parts = [config, config.get("text_config") or {}]
    architecture = " ".join(config.get("architectures") or [])
    return (
        "ForConditionalGeneration" in architecture and bool(config.get("vision_config")) and not any(part.get("is_encoder_decoder") for part in parts)
    )


def folder_sees(folder: Path) -> bool:
    """The same of a transformers folder; one that can't be read does not see."""
    try:
        return sees(json.loads((folder / "config.json").read_text("utf-8")))
    except (OSError, ValueError, AttributeError):
        return False


def without_eyes(folder: Path) -> str:
    """Why a model with eyes can't use them: its files are missing. Empty where they are there."""
    return "" if any((folder / file).is_file() for file in EYES) else f"there is no {EYES[0]} in {folder}"


def load_seeing(folder: Path, dtype: str) -> tuple[Any, Any, Any]:
    """``(model, tokenizer, processor)`` on the CPU, in ``eval`` mode; the processor is ``None`` where its files are missing.

    Raises ``ModelError``.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForImageTextToText

    check_folder(folder)
    try:
        processor = None if without_eyes(folder) else _processor(folder)
        tokenizer = processor.tokenizer if processor is not None else load_tokenizer(folder)
        separate_pad(tokenizer)
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True)
    except ImportError as error:
        raise ModelError(f"The model in {folder} can't see yet: {first_line(error)}", "Install the library that is named, and try again.") from error
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError, SafetensorError) as error:
        raise cannot_load(folder, error) from error
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    return model.eval(), tokenizer, processor


def _processor(folder: Path) -> Any:
    """What cuts pictures, and films where torchvision is here: transformers has no way to leave the part for films out, and
    that part alone needs torchvision. Raises what transformers raises."""
    import transformers

    try:
        return transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
    except ImportError as error:
        if "torchvision" not in str(error).lower():
            raise
    told = [json.loads((folder / file).read_text("utf-8")) for file in EYES if (folder / file).is_file()]
    known: Any = getattr(transformers, next((one["processor_class"] for one in told if "processor_class" in one), "AutoProcessor"))

    class Still(known):  # type: ignore[misc]
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            return None if argument_name == "video_processor" else super().check_argument_for_proper_class(argument_name, argument)

        @classmethod
        def _get_arguments_from_pretrained(cls, place: Any, processor_dict: Any = None, **how: Any) -> list[Any]:  # noqa: ARG003
            parts = {"image_processor": transformers.AutoImageProcessor, "tokenizer": transformers.AutoTokenizer}
            return [parts[name].from_pretrained(place, **how) if name in parts else None for name in cls.get_attributes()]

    return Still.from_pretrained(folder, local_files_only=True)


def refuse_to_train(folder: Path) -> None:
    """Raises ``ModelError`` for a model with eyes, where a language model alone is wanted."""
    if folder_sees(folder):
        raise ModelError(f"The model in {folder} sees: it can chat, but not be trained or measured here.", "Use a language model without eyes.")
