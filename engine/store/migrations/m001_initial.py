"""The first tables."""

SQL = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE datasets (
    name TEXT PRIMARY KEY, source TEXT NOT NULL, folder TEXT NOT NULL, fingerprint TEXT NOT NULL,
    splits TEXT NOT NULL, features TEXT NOT NULL, shape TEXT NOT NULL, columns TEXT NOT NULL,
    bytes INTEGER NOT NULL, note TEXT NOT NULL DEFAULT '', created TEXT NOT NULL);
CREATE TABLE models (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, source TEXT NOT NULL, revision TEXT NOT NULL DEFAULT '',
    gguf TEXT NOT NULL DEFAULT '', folder TEXT NOT NULL DEFAULT '', base TEXT NOT NULL DEFAULT '',
    bytes INTEGER NOT NULL, facts TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE indexes (
    dataset TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, encoder TEXT NOT NULL, folder TEXT NOT NULL,
    columns TEXT NOT NULL, passages INTEGER NOT NULL, created TEXT NOT NULL);
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, verb TEXT NOT NULL, command TEXT NOT NULL, title TEXT NOT NULL,
    slot TEXT NOT NULL, state TEXT NOT NULL, position REAL NOT NULL, after TEXT NOT NULL DEFAULT '[]',
    request TEXT NOT NULL DEFAULT '', pid INTEGER, host TEXT, beat REAL, attempts INTEGER NOT NULL DEFAULT 0,
    created TEXT NOT NULL, started TEXT, finished TEXT, summary TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '');
CREATE INDEX jobs_by_state ON jobs (state, position);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, model TEXT NOT NULL, dataset TEXT NOT NULL,
    split TEXT NOT NULL, fingerprint TEXT NOT NULL, task TEXT NOT NULL, rows INTEGER NOT NULL,
    metrics TEXT NOT NULL, predictions TEXT NOT NULL, created TEXT NOT NULL);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, role TEXT NOT NULL, text TEXT NOT NULL,
    facts TEXT NOT NULL DEFAULT '{}', created TEXT NOT NULL);
CREATE INDEX messages_by_session ON messages (session, id);
"""
