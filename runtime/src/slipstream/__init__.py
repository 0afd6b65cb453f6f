"""slipstream inside a Django process: settings overlay, surviving caches, freshness."""

__version__ = "0.1.0"
