"""Augmentation of images and their labels; for the loader."""
