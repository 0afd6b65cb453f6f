"""A small project for faults: a page that may be shared, one that may not, sessions, rows, tasks, its own error pages."""

from __future__ import annotations

from pathlib import Path

from conftest import start_project
from sites import GAZETTE, Site

VIEWS = """
import os, time
from django.core.files.storage import default_storage
from django.core.mail import send_mail
from django.db import models, transaction
from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from .tasks import write_note
from .models import Note

VERSION = "1"

@cache_control(public=True, max_age=1)
def page(request):
    return HttpResponse(f"a shared page, version {VERSION}")

def private(request):
    return HttpResponse(f"version {VERSION} by {os.environ.get('SERVER_NUMBER', '')}{os.getpid()}")

def whoami(request):
    return JsonResponse({"uid": os.getuid(), "address": request.META["REMOTE_ADDR"], "secure": request.is_secure(),
                         "host": request.get_host(), "forwarded": request.META.get("HTTP_X_FORWARDED_FOR", ""),
                         "id": request.META.get("HTTP_X_REQUEST_ID", ""),
                         "bypass": request.META.get("HTTP_X_SLIPSTREAM_BYPASS", "")})

def count(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(str(request.session["count"]))

@csrf_exempt
def notes(request):
    if request.method == "POST":
        with transaction.atomic():
            note = Note.objects.create(text=request.POST["text"])
        return HttpResponse(str(note.pk), status=201)
    return JsonResponse(list(Note.objects.order_by("pk").values_list("text", flat=True)), safe=False)

@csrf_exempt
def enqueue(request):
    write_note.delay(request.GET["text"])
    return HttpResponse("enqueued", status=202)

def boom(request):
    raise RuntimeError("boom on purpose")

def slow(request):
    time.sleep(float(request.GET.get("s", 1)))
    return HttpResponse("slow but here")
"""

URLS = """
from django.contrib import admin
from django.urls import path
from . import views

urlpatterns = [path("admin/", admin.site.urls)] + [
    path(f"{view.__name__}/", view)
    for view in (views.page, views.private, views.whoami, views.count, views.notes, views.enqueue, views.boom, views.slow)
]
"""

MODELS = """
from django.db import models

class Note(models.Model):
    text = models.CharField(max_length=200)
"""

TASKS = """
from celery import shared_task

@shared_task
def write_note(text):
    from .models import Note
    Note.objects.create(text=text)
"""

CELERY = """
import os
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
app = Celery("mysite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
"""

MIGRATION = """
from django.db import migrations, models

class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Note", [("id", models.BigAutoField(primary_key=True)), ("text", models.CharField(max_length=200))]
        ),
    ]
"""

STACK_FILE = """[database]
server = "postgresql"
"""


def make_shop(folder: Path) -> Site:
    """The project in ``folder``, in the gazette's environment, on the stack's own database."""
    site = start_project(folder, GAZETTE / ".venv" / "bin" / "python")
    package = folder / "mysite"
    files = {"views.py": VIEWS, "urls.py": URLS, "models.py": MODELS, "tasks.py": TASKS, "celery.py": CELERY}
    for name, text in files.items():
        (package / name).write_text(text.lstrip())
    (package / "__init__.py").write_text("from .celery import app as celery_app\n")
    (package / "migrations").mkdir()
    (package / "migrations" / "__init__.py").write_text("")
    settings = package / "settings.py"
    text = (
        settings.read_text()
        .replace("INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'mysite',")
        .replace("'DIRS': []", "'DIRS': [BASE_DIR]")
    )
    settings.write_text(text)
    for status in (404, 500, 503):
        (folder / f"{status}.html").write_text(f"<!doctype html><title>{status}</title><p>the shop's own {status} page")
    (folder / "slipstream.toml").write_text(STACK_FILE)
    (package / "migrations" / "0001_initial.py").write_text(MIGRATION.lstrip())
    return site
