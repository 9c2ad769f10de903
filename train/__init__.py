"""The training program: commands on top, a folder for each idea below; the library never imports it."""

from ppool_jax.utils.drawing import accept_any_backend

accept_any_backend()
