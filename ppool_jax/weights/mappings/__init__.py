"""How files name and lay out the arrays of each network; may import `ppool_jax.models`."""
