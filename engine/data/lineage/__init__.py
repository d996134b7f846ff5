"""How a dataset changes: its steps, its versions, and the way back."""
