"""What the magazine publishes: articles with their sections, tags, authors and images."""
