"""From a publisher's files to records that a training reads; for `train.prepare`."""
