"""The training program: commands on top, a folder for each idea below; the library never imports it."""
