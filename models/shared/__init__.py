"""What several methods need: the records, the training loop, data sets, metrics and checkpoints. Importing this loads nothing heavy."""
