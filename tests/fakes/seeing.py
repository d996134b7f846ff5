"""A tiny LLaVA made from its config: a vision tower of two layers before the tiny LLaMA, with a processor of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.tiny import chat_model

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = (
    "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n'}}{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}{{'<image>'}}{% else %}{{part['text']}}{% endif %}{% endfor %}{{'<|im_end|>\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{'<|im_start|>assistant\n'}}{% endif %}"
)


def seeing_model(folder: Path) -> Path:
    """Pictures of 16 × 16 pixels are four patches, and four tokens. Its weights are large enough to say various things."""
    import torch
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration
    from transformers.models.llava.processing_llava import LlavaProcessor

    tokenizer = AutoTokenizer.from_pretrained(chat_model(folder))
    (folder / "model.safetensors").unlink()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    eyes = CLIPVisionConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8)
    words = LlamaConfig.from_pretrained(folder, vocab_size=len(tokenizer))
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(LlavaConfig(vision_config=eyes, text_config=words, image_token_id=len(tokenizer) - 1))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(6)
    model.save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}), tokenizer, patch_size=8,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    return folder
