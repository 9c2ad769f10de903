"""Experiments with several variants and seeds, which `python -m train.study` runs and compares."""
