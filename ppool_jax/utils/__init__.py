"""Helpers without knowledge of pooling: names and files; may be imported by all of `ppool_jax`."""
