"""The parts of a run's context."""
