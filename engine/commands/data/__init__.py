"""Commands about datasets: bring, look, change, search, ask."""
