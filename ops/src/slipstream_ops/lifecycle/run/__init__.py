"""Run: start, watch over, reload and stop the stack on this machine."""
