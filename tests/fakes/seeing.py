"""Tiny models that see, made from their configs with processors of their own: a LLaVA before the tiny LLaMA, and a Qwen2-VL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.fakes.tiny import chat_model

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n'}}{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}{{'<image>'}}{% else %}{{part['text']}}{% endif %}{% endfor %}{{'<|im_end|>\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
)


def seeing_model(folder: Path) -> Path:
    """Pictures of 16 × 16 pixels are four patches, and four tokens."""
    import torch
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration
    from transformers.models.llava.processing_llava import LlavaProcessor

    tokenizer = AutoTokenizer.from_pretrained(chat_model(folder))
    (folder / "model.safetensors").unlink()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    eyes = CLIPVisionConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8)
    words = LlamaConfig.from_pretrained(folder, vocab_size=len(tokenizer))
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=eyes, text_config=words, image_token_id=len(tokenizer) - 1, projector_hidden_act="gelu_pytorch_tanh")
    )
    _loud(model).save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}), tokenizer, patch_size=8,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def seeing_qwen(folder: Path) -> Path:
    """Qwen2-VL, whose places have three numbers: a picture of 32 × 24 pixels is four tokens (32 × 32, patches of 8, two by two)."""
    import torch
    from transformers import AutoTokenizer, Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLImageProcessorPil

    tokenizer = AutoTokenizer.from_pretrained(chat_model(folder))
    (folder / "model.safetensors").unlink()
    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    words = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]},
    }  # fmt: skip
    eyes = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2, "patch_size": 8}
    numbers = dict(zip(("vision_start", "vision_end", "image", "video"), tokenizer.convert_tokens_to_ids(marks), strict=True))
    torch.manual_seed(0)
    config = Qwen2VLConfig(text_config=words, vision_config=eyes, **{f"{name}_token_id": number for name, number in numbers.items()})
    _loud(Qwen2VLForConditionalGeneration(config)).save_pretrained(folder)
    tokenizer.chat_template = TEMPLATE.replace("<image>", "<|vision_start|><|image_pad|><|vision_end|>")
    tokenizer.save_pretrained(folder)
    pictures = Qwen2VLImageProcessorPil(size={"shortest_edge": 16 * 16, "longest_edge": 64 * 64}, patch_size=8)
    # As Qwen's own repositories have it: nothing is said of videos, whose processor is made after that of pictures.
    said = {**pictures.to_dict(), "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


def _loud(model: Any) -> Any:
    """Its weights made large enough to say various things."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(6)
    return model
