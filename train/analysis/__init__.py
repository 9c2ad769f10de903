"""What alpha does in a trained network: the parts of `python -m train.analyze`."""
