"""Config files: what a researcher edits; they import `train` and the library."""
