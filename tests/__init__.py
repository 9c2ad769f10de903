"""Tests, in folders that mirror the code; `helpers` is what they share."""
