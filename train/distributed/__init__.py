"""Starting the processes of a training, and agreeing between them; imports only `utils`."""
