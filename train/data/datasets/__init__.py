"""The data sets: their classes, and how each publisher's files are found; for the rest of `data`."""
