"""Build: from a folder with a manage.py to a resolved ``Stack`` and its rendered files."""
