"""How a source becomes Arrow on disk: what it is, whether it is sound, and the reader that takes it."""
