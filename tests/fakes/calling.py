"""A tiny chat model that has learnt one thing by heart: to call ``weather``, and to answer from what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.tiny import chat_model

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = (
    "{%- if tools %}{{ '<|im_start|>system\nTools:\n' + (tools | tojson) + '<|im_end|>\n' }}{%- endif %}"
    "{%- for m in messages %}"
    "{%- if m.role == 'tool' %}{{ '<|im_start|>user\n<tool_response>\n' + m.content + '\n</tool_response><|im_end|>\n' }}"
    "{%- elif m.tool_calls %}{{ '<|im_start|>assistant' }}{%- for c in m.tool_calls %}"
    "{{ '\n<tool_call>\n{\"name\": \"' + c.function.name + '\", \"arguments\": ' + (c.function.arguments | tojson) + '}\n</tool_call>' }}"
    "{%- endfor %}{{ '<|im_end|>\n' }}"
    "{%- else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}"
)
"""As Qwen 2.5 writes tools, calls and results."""
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather", "description": "The weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}  # fmt: skip
QUESTION: dict[str, Any] = {"role": "user", "content": "What is it like in Graz?"}
ARGUMENTS = {"city": "Graz"}
CALLED: dict[str, Any] = {
    "role": "assistant", "content": "", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}],
}  # fmt: skip
FOUND: dict[str, Any] = {"role": "tool", "tool_call_id": "c1", "content": "fine, 12 degrees"}
WRITTEN = '<tool_call>\n{"name": "weather", "arguments": {"city": "Graz"}}\n</tool_call>'
ANSWER = "It is fine."


def calling_model(folder: Path, steps: int = 130) -> Path:
    """It writes ``WRITTEN`` when it is asked ``QUESTION`` with ``TOOL``, and ``ANSWER`` when it is told ``FOUND``."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    chat_model(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    examples = []
    for messages, answer in (([QUESTION], WRITTEN), ([QUESTION, CALLED, FOUND], ANSWER)):
        prompt = tokenizer.apply_chat_template(messages, tools=[TOOL], add_generation_prompt=True, tokenize=False)
        read = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        said = tokenizer(f"{answer}<|im_end|>", add_special_tokens=False)["input_ids"]
        examples.append((read + said, [-100] * len(read) + said))
    longest = max(len(read) for read, _ in examples)
    # What comes behind an answer is seen by no token before it, and is not learnt.
    ids = torch.tensor([read + [0] * (longest - len(read)) for read, _ in examples])
    labels = torch.tensor([said + [-100] * (longest - len(said)) for _, said in examples])
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two wait for each other more than they do, on a model so small
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / steps)
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.set_num_threads(threads)
    model.save_pretrained(folder)
    return folder
