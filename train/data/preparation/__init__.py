"""Preparation: converts a publisher's files to ArrayRecord; for `train.prepare`."""
