"""Figures 2 and 3 of Wei et al., CVPR 2019, and the gradients of docs/THEORY.md, drawn with the library."""
