"""Template tags of slipstream: `{% load slipstream %}`."""
