"""A whole magazine made up: the data that `manage.py generate` writes."""
