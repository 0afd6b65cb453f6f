"""Keeps services running: supervisord on this machine, systemd on servers; both are rendered from the same ``Service`` values."""
