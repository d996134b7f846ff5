"""Bittern's engine: data in, model out, no screen. Import :class:`engine.engine.Engine` to use it."""

__version__ = "0.1.0"
