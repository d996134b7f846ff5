"""What memory a job was expected to need and what it really took, in bytes."""

SQL = """
CREATE TABLE peaks (
    job TEXT PRIMARY KEY, kind TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '', predicted INTEGER NOT NULL DEFAULT 0,
    runtime INTEGER NOT NULL DEFAULT 0, corrected INTEGER NOT NULL DEFAULT 0, measured INTEGER NOT NULL DEFAULT 0,
    settings TEXT NOT NULL DEFAULT '{}', created TEXT NOT NULL)
"""
