"""Augmentation of training examples; for the rest of `data`."""
