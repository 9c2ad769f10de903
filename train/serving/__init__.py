"""The pieces of `python -m train.export`."""
