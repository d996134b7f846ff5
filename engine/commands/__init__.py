"""Everything a person can do, as small typed requests. ``registry.py`` lists them; ``parse.py`` reads a line."""
