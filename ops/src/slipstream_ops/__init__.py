"""slipstream-ops: runs, deploys, loads and watches a Django site on the whole tuned stack."""

__version__ = "0.1.0"
