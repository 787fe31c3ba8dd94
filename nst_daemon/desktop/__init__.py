"""Tray icon and notifications, in a process of their own that reads snapshots and writes requests."""
