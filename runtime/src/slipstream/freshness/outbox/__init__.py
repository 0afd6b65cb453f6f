"""The outbox: triggers that note every write inside its own transaction; read before COMMIT, and by the daemon."""
