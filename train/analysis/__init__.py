"""Analyzes and draws alpha in a trained network; used by `python -m train.analyze`."""
