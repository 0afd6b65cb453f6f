"""Django for the tests of single requests."""

from __future__ import annotations

import django
from django.conf import settings

if not settings.configured:
    settings.configure(SECRET_KEY="test", USE_TZ=True, ALLOWED_HOSTS=["*"])
    django.setup()
