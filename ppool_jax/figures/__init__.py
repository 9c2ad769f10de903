"""Figures 2 and 3 of Wei et al., CVPR 2019, and that of docs/THEORY.md; nothing may import them."""
