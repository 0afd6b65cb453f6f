"""Settings for any project, unedited: ``DJANGO_SETTINGS_MODULE=slipstream.overlay`` is the project's settings, then the stack's.

The project's module is named in ``SLIPSTREAM_SETTINGS``, what the stack offers in the document ``SLIPSTREAM_OVERLAY``.
An error in the project's settings comes through as the project's own.
"""

from __future__ import annotations

import os

from slipstream import wire

if wire.SETTINGS_VARIABLE in os.environ:
    from slipstream.overlay.resolution import resolve_from_environment

    globals().update(resolve_from_environment().settings)
elif os.environ.get("DJANGO_SETTINGS_MODULE") == wire.OVERLAY_MODULE:
    from django.core.exceptions import ImproperlyConfigured

    raise ImproperlyConfigured(
        f"DJANGO_SETTINGS_MODULE is {wire.OVERLAY_MODULE}, but {wire.SETTINGS_VARIABLE} does not name the project's settings. "
        f'Set {wire.SETTINGS_VARIABLE} to the project\'s own module (such as "mysite.settings").'
    )
