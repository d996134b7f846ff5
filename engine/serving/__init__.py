"""Models behind an OpenAI-compatible address: the engines that answer, and the door in front of them."""
