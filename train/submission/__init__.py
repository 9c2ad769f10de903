"""What the benchmarks' servers take: the parts of `train.predict --submission` and of its command."""
