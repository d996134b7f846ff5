"""Answers from a dataset: retrieve, write, cite, or say that nothing answers."""
