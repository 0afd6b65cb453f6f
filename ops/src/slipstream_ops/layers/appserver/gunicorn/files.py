"""Which folders the workers serve by themselves, because gunicorn serves no files."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from slipstream_ops.placement import Stack


def file_maps(stack: Stack) -> str:
    """``wire.FILES_VARIABLE``: static files and uploads that live in folders; URLs of another host are not ours to answer."""
    project = stack.project
    # Without the staticfiles application nothing is collected: the project fills its folder by itself.
    static_root = stack.state.static if project.has_staticfiles else project.static_root
    wanted = ((project.static_url, static_root, True), (project.media_url, project.media_root, False))
    maps = [
        {"url": path, "folder": str(folder), "is_static": is_static}
        for url, folder, is_static in wanted
        if folder and (path := local_path(url))
    ]
    return json.dumps(maps)


def local_path(url: str) -> str | None:
    """``url`` as a path with slashes around; None for another host's, and for "/", which would shadow the whole site."""
    if not url or urlsplit(url).netloc:
        return None
    path = "/" + url.strip("/") + "/"
    return path if path != "//" else None
