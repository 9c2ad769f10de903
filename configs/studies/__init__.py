"""Study files: the experiments of the paper, and two studies that are feasible on two CPU cores."""
