"""What freshness costs: writes with and without triggers and stamps, reads with and without tracking, hits of the query cache."""
