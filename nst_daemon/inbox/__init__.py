"""The watched folders: events, rescans and polls become paths. Only importer of watchdog."""
