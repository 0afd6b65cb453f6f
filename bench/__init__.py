"""Timings and ratios, measured side by side; never asserted in tests."""
