"""The address at which the accelerator tells that it is there itself, whatever the app servers do."""

ACCELERATOR_HEALTH_PATH = "/.slipstream/accelerator"
"""Asked by the edge's health check; the edge refuses it to visitors."""
