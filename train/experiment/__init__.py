"""Builds what a config describes and restores finished runs; used by the loop and by evaluation."""
