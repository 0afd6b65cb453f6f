"""Django's reads and writes -> tags; the only place that touches private Django API."""
