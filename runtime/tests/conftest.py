"""Django's settings for tests that run inside the suite's own process; those that need more run a process of their own."""

from __future__ import annotations

from django.conf import settings

if not settings.configured:
    settings.configure(SECRET_KEY="test", USE_TZ=True, ALLOWED_HOSTS=["*"])
