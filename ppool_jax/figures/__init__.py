"""Figures 2 and 3 of Wei et al., CVPR 2019, drawn from the library: `python -m ppool_jax.figures --out DIR`."""
