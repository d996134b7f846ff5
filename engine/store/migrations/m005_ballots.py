"""Answers of several models to one prompt, side by side, and which of them a person preferred."""

SQL = """
CREATE TABLE ballots (
    id INTEGER PRIMARY KEY AUTOINCREMENT, batch TEXT NOT NULL, prompt TEXT NOT NULL, sides TEXT NOT NULL, answers TEXT NOT NULL,
    shown TEXT NOT NULL, seed INTEGER NOT NULL, address TEXT NOT NULL DEFAULT '', vote TEXT NOT NULL DEFAULT '', created TEXT NOT NULL,
    voted TEXT NOT NULL DEFAULT '');
CREATE INDEX ballots_by_batch ON ballots (batch, id)
"""
