"""The training loop, its hooks and its handling of failures; commands and studies may import it."""
