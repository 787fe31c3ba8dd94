"""The process around the two halves: threads, signals, a config that changes, signs of life, one run."""
