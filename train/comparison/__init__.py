"""Comparison of two runs: gains by class, predictions side by side, the paper's Figures 4 and 5."""
