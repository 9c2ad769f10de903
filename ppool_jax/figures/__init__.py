"""Figures 2 and 3 of Wei et al., CVPR 2019, drawn with the library."""
