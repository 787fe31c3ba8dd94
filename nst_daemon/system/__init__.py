"""The machine below us: a child process and its end, who lives and since when, and planned crashes for tests."""
