"""Helpers for names and files, without knowledge of pooling; all of the library may import them."""
