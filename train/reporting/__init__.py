"""The HTML report of several runs, which python -m train.report writes."""
