"""JSON files, error reporting, progress and config parsing; imports nothing else from `train`."""
