"""TIME: the phases of a site's life. Nothing in here names a product."""
