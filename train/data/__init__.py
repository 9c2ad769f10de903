"""Data sets, their classes, preparation, augmentation and loading; imports `distributed` and `utils`."""
