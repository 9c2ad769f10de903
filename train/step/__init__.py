"""One training step: loss, optimizer, accumulation, parallelism, update guard; imports data and utils."""
