"""How a dataset is looked at: views, queries, statistics, and rows as a file."""
