"""Submissions to the benchmarks' servers: writes them (`train.predict --submission`) and validates them."""
