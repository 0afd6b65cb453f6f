"""Raw SQL, and Django's own as a cross-check: which tables a statement reads, what it calls, whether it may write."""
