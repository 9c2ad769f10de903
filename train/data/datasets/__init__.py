"""The data sets: class tables, and how the files of each publisher are found; for the rest of `data`."""
