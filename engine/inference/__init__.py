"""Talking to models: one Protocol, three backends."""
