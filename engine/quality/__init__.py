"""Quality: what is twice there, what leaks from split to split, which labels look wrong, what is personal; and the map of the rows."""
