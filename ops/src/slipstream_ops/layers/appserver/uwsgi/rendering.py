"""uWSGI's configuration files, one folder for each instance."""

from __future__ import annotations

import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from slipstream import wire
from slipstream_ops.layers import templates
from slipstream_ops.layers.appserver.uwsgi.sizing import sizes
from slipstream_ops.layers.contract import File
from slipstream_ops.placement import Host, Stack

MODERN_TYPES = {
    ".avif": "image/avif", ".mjs": "text/javascript", ".map": "application/json", ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json", ".webp": "image/webp", ".woff": "font/woff", ".woff2": "font/woff2",
    ".ttf": "font/ttf", ".otf": "font/otf", ".ico": "image/x-icon", ".js": "text/javascript", ".opus": "audio/ogg",
}  # fmt: skip
"""What older systems lack in /etc/mime.types, if they have that file: with nosniff a style sheet without a type is dropped."""


@dataclass(frozen=True)
class FileMap:
    """Files of ``folder`` appear under ``url``, which ends with a slash."""

    url: str
    folder: Path
    is_static: bool  # collected static files, whose names may carry hashes

    @property
    def pattern(self) -> str:
        return re.escape(self.url)


def instance_names(count: int) -> tuple[str, ...]:
    return tuple(f"app-{number}" for number in range(1, count + 1))


def file_maps(stack: Stack) -> tuple[FileMap, ...]:
    """Static files and uploads that live in folders; URLs of another host (a CDN, object storage) are not ours to answer."""
    project = stack.project
    maps = []
    # Without the staticfiles application nothing is collected: the project fills its folder by itself.
    static_root = stack.state.static if project.has_staticfiles else project.static_root
    if static_root and (url := local_path(project.static_url)):
        maps.append(FileMap(url, static_root, is_static=True))
    if project.media_root and (url := local_path(project.media_url)):
        maps.append(FileMap(url, project.media_root, is_static=False))
    return tuple(maps)


def local_path(url: str) -> str | None:
    """``url`` as a path with slashes around; None for another host's, and for "/", which would shadow the whole site."""
    if not url or urlsplit(url).netloc:
        return None
    path = "/" + url.strip("/") + "/"
    return path if path != "//" else None


def configuration_path(stack: Stack, name: str) -> Path:
    return stack.state.rendered / name / "uwsgi.ini"


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    numbers = {sized.name: sized for sized in sizes(stack, host)}
    types = stack.state.rendered / "appserver" / "mime.types"
    files = [File(types, mime_types())]
    for name in instance_names(stack.config.appserver.instances):
        content = templates.fill(
            __package__,
            "uwsgi.ini.j2",
            name=name,
            root=stack.project.root,
            python=stack.project.python,
            module=f"{wire.WSGI_MODULE}:application",
            endpoint=stack.endpoint(name),
            size=numbers,
            run=stack.state.run / name,
            maps=file_maps(stack),
            mime_types=types,
        )
        files.append(File(configuration_path(stack, name), content))
    return tuple(files)


def mime_types() -> str:
    """A table in the format of /etc/mime.types, the same on every system."""
    known = {**mimetypes.MimeTypes(()).types_map[True], **MODERN_TYPES}
    extensions: dict[str, list[str]] = {}
    for extension, kind in sorted(known.items()):
        extensions.setdefault(kind, []).append(extension.removeprefix("."))
    return "".join(f"{kind} {' '.join(names)}\n" for kind, names in sorted(extensions.items()))
