"""Models on disk: the starters, what a person brings, and how each is loaded."""
