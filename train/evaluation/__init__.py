"""From a network to its scores on a data set: prediction, metrics, result files; below the loop."""
