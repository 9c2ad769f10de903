"""What a config describes, and reading a run back from its workdir; below the loop and evaluation."""
