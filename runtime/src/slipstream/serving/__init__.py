"""What an app server written in Python leaves to the process: files, whole bodies, one log line a request, its numbers."""
