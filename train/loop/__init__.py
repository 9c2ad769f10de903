"""The training loop, and what happens when something goes wrong; for the commands and studies."""
