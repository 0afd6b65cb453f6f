"""What a cache operation costs the process that asks: slipstream's backends beside the others, in one run."""
