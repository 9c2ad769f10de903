"""Planning: what a training step needs on a TPU slice, from compiling it ahead of time."""
