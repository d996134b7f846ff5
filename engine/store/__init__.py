"""The workspace's memory: SQLite in WAL mode, one small module for each family of tables."""
