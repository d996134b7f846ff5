"""Search by meaning and by words: passages, their vectors, the index, and the reader that asks it."""
