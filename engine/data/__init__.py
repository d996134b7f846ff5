"""Data: what a source is, how it becomes Arrow on disk, and how its rows are read a window at a time."""
