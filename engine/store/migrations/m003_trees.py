"""Conversations become trees: a message stands under another, and a conversation has a place where it goes on."""

SQL = """
ALTER TABLE messages ADD COLUMN parent INTEGER NOT NULL DEFAULT 0;
UPDATE messages SET parent = COALESCE(
    (SELECT MAX(before.id) FROM messages AS before WHERE before.session = messages.session AND before.id < messages.id), 0);
CREATE INDEX messages_by_parent ON messages (parent);
CREATE TABLE sessions (
    name TEXT PRIMARY KEY, leaf INTEGER NOT NULL DEFAULT 0, pinned INTEGER NOT NULL DEFAULT 0,
    settings TEXT NOT NULL DEFAULT '{}', created TEXT NOT NULL, changed TEXT NOT NULL, forgotten TEXT NOT NULL DEFAULT '');
INSERT INTO sessions (name, leaf, created, changed) SELECT session, MAX(id), MIN(created), MAX(created) FROM messages GROUP BY session;
CREATE TABLE presets (name TEXT PRIMARY KEY, settings TEXT NOT NULL, created TEXT NOT NULL)
"""
