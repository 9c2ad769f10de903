"""Experiments of several variants and seeds: the parts of `python -m train.study`."""
