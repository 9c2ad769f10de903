"""Config files, which a researcher edits; they import `train` and `ppool_jax`."""
