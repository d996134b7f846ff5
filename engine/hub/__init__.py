"""The only room that imports huggingface_hub."""
