"""Commands about trainings: before, while they run, after."""
