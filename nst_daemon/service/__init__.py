"""How the daemon is started: at log-in, in the background, by systemd."""
