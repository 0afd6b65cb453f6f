"""uWSGI on a real ``django-admin startproject``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract_suite import ProductContract
from slipstream_ops import execution
from slipstream_ops.layers.application.django import document
from slipstream_ops.layers.appserver.vitals import AppServerVitals
from slipstream_ops.placement import Stack
from startproject import make_django_stack


class TestUwsgi(ProductContract):
    layer = "appserver"
    server = "uwsgi"
    needs = ("application",)
    vitals_type = AppServerVitals

    def make_stack(self, folder: Path, **config: Any) -> Stack:
        stack = make_django_stack(folder, **config)
        for file in document.render(stack, stack.hosts[0]):
            execution.write_file(file)
        return stack
