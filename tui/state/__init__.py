"""Plain view models that reduce the engine's events; no Textual in them."""
