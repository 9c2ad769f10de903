"""Checkpoints, the workdir and its lock; imports `distributed` and `utils`."""
