"""Study files: the experiments of the paper, and two that fit two CPU cores."""
