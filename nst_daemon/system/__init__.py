"""The machine below us: child processes and their end, who lives and since when, planned crashes."""
