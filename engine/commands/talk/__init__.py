"""Commands of a conversation, and what they share."""
