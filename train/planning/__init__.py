"""Planning: the memory, work and collectives of a training step on a TPU slice, compiled ahead of time."""
