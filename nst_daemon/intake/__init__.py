"""The left half: a file that arrived settles, is read and paired with a style, and becomes a job."""
