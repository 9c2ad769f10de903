"""Files, errors, progress and config parsing; imports nothing else of `train`."""
