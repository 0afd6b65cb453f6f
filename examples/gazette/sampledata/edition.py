"""One run of the generator: how much, from which seed, seen from which day, and the way into the tables."""

import math
import random
from datetime import UTC, datetime, timedelta

from .loading import load_rows
from .writing import Writer


class Edition:
    """What the writers of all tables share. The seed and the day decide everything; `progress` is told of every stage."""

    def __init__(self, scale, seed, today, progress):
        self.scale, self.progress = scale, progress
        self.today = datetime(today.year, today.month, today.day, tzinfo=UTC)
        self.rng = random.Random(seed)
        self.writer = Writer(self.rng)

    def load(self, name, model, fields, rows, total=None):
        """Write the rows as one stage of the progress."""
        with self.progress.stage(name, total) as advance:
            load_rows(model, fields, rows, advance)

    def at_hour(self, day, hours):
        """A moment of the day at which such things happen; `day` counts from today, and may have a fraction, which is dropped."""
        hour = self.rng.choices(range(24), hours)[0]
        return self.today + timedelta(days=math.floor(day), hours=hour, seconds=self.rng.randrange(3600))
