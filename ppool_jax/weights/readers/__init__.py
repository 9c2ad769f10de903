"""Readers of weight files: from a path to arrays by key; may import nothing else of the library."""
