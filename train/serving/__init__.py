"""Uses of a finished run: predictions for photographs, and exported models."""
