"""The command line: one function a command; words and exit codes. `app` puts the commands together."""
