"""Evaluation: prediction with test-time augmentation, metrics of a data set, and result files."""
