"""Between what was read and what was written: knows whether a cached thing is still true."""
