"""Measuring a model: every prediction is kept, so that two runs can be compared row by row."""
