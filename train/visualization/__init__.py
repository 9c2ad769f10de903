"""Colors and HTML; imports only `data` and `utils`."""
