"""Every version of a dataset: from which one it was made, and by which step."""

SQL = """
CREATE TABLE versions (
    dataset TEXT NOT NULL, number INTEGER NOT NULL, fingerprint TEXT NOT NULL, parent TEXT NOT NULL DEFAULT '',
    step TEXT NOT NULL, record TEXT NOT NULL, visited INTEGER NOT NULL, created TEXT NOT NULL,
    PRIMARY KEY (dataset, fingerprint));
CREATE INDEX versions_by_number ON versions (dataset, number)
"""
