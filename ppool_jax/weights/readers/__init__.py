"""Readers of weight files, from a path to arrays by key; all of weights may import them but the mappings."""
