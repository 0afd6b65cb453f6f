"""Renders the site's own error pages, for the layers that must answer when the application cannot.

``python -m slipstream.launch slipstream.errorpages`` answers ``{"pages": {"404": html or null, ...}, "reasons": {...}}``:
null where the project has no page of its own, with a reason where it has one that could not be rendered.
"""

from __future__ import annotations

import sys
from typing import Any

from slipstream import wire
from slipstream.survey import write_answer

DEFAULT_HANDLERS = "django.views.defaults"


def render_pages() -> dict[str, dict[str, str | None]]:
    pages: dict[str, str | None] = {}
    reasons: dict[str, str | None] = {}
    for status in wire.ERROR_PAGES:
        try:
            pages[str(status)] = render_page(status)
        except Exception as error:  # whatever the project's template or handler raises: the stack goes on without its page
            pages[str(status)] = None
            reasons[str(status)] = f"{type(error).__name__}: {error}"
    return {"pages": pages, "reasons": reasons}


def render_page(status: int) -> str | None:
    """The page for ``status`` as an anonymous visitor of the front page gets it; None when the project has none of its own."""
    from django.template.loader import render_to_string
    from django.urls import get_resolver

    if status == 503:  # Django has no handler for it
        return render_to_string("503.html", request=make_request()) if has_template("503.html") else None
    handler = get_resolver().resolve_error_handler(status)
    is_default = handler.__module__ == DEFAULT_HANDLERS
    if is_default and not has_template(f"{status}.html"):
        return None
    arguments = {} if status == 500 else {"exception": exception_for(status)}
    response = handler(make_request(), **arguments)
    if hasattr(response, "render"):
        response = response.render()
    text: str = response.content.decode(response.charset)
    return text


def has_template(name: str) -> bool:
    from django.template import TemplateDoesNotExist
    from django.template.loader import get_template

    try:
        get_template(name)
    except TemplateDoesNotExist:
        return False
    return True


def exception_for(status: int) -> Any:
    from django.core.exceptions import PermissionDenied
    from django.http import Http404

    return Http404() if status == 404 else PermissionDenied()


def make_request() -> Any:
    """A request for the front page, with what the usual middleware adds to one of a visitor who is not signed in."""
    from django.apps import apps
    from django.conf import settings
    from django.test import RequestFactory

    names = [name for name in settings.ALLOWED_HOSTS if name != "*"]
    request = RequestFactory(headers={"host": names[0].lstrip(".") if names else "localhost"}).get("/", secure=True)
    request.slipstream_bypass, request.slipstream_request_id = False, None
    if apps.is_installed("django.contrib.sessions"):
        from django.contrib.sessions.backends.signed_cookies import SessionStore

        request.session = SessionStore()  # keeps nothing anywhere
    if apps.is_installed("django.contrib.auth"):
        from django.contrib.auth.models import AnonymousUser

        request.user = AnonymousUser()
    if apps.is_installed("django.contrib.messages"):
        from django.contrib.messages.storage.cookie import CookieStorage

        request._messages = CookieStorage(request)
    return request


def main() -> int:
    import django

    django.setup()
    write_answer(render_pages())
    return 0


if __name__ == "__main__":
    sys.exit(main())
