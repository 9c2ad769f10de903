"""Two runs beside each other, as a paper shows them: the pieces of `python -m train.compare`."""
