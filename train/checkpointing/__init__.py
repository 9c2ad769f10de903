"""Checkpoints, their manifests, the workdir and its lock; imports only `distributed` and `utils`."""
