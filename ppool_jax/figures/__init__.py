"""Figures 2 and 3 of the paper, and that of docs/THEORY.md; no other package of the library imports them."""

from ppool_jax.utils.drawing import accept_any_backend

accept_any_backend()
