"""The gazette's tests. Tasks run where they are sent from, so that no broker is needed."""

from gazette.celery import app

app.conf.update(task_always_eager=True, task_eager_propagates=True)
