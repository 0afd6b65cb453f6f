"""What is frequent and what is rare: popularity, sizes and times of day as on a real site."""

from itertools import accumulate

# Hours at which a magazine publishes, and at which people comment; 24 weights each, midnight first.
# Publishing peaks before breakfast and at noon, comments at lunch and in the evening.
PUBLISHING_HOURS = [1, 0, 0, 1, 3, 14, 18, 12, 9, 8, 8, 9, 10, 7, 6, 6, 7, 6, 4, 3, 2, 2, 1, 1]
COMMENTING_HOURS = [5, 3, 2, 1, 1, 2, 5, 10, 14, 15, 14, 14, 17, 16, 13, 12, 12, 13, 14, 17, 19, 18, 14, 9]
# Monday first: the week-end is quiet.
PUBLISHING_WEEKDAYS = [9, 10, 10, 10, 10, 6, 5]


def draw_skewed(rng, count, draws, exponent=0.9, shift=30):
    """Draw indices below `count`, the popular ones far more often: Zipf's law as Mandelbrot corrected it.

    Index k has the weight 1 / (k + 1 + shift) ** exponent. The shift flattens the top, so that the first of 200,000
    articles gets some 4,600 of 2,000,000 comments and not 35,000. Which index is popular says nothing about its age:
    shuffle what they stand for.
    """
    return rng.choices(range(count), cum_weights=cumulate_skewed(count, exponent, shift), k=draws)


def cumulate_skewed(count, exponent=0.9, shift=30):
    """The weights of `draw_skewed`, summed up, for those who draw one at a time."""
    return list(accumulate(1 / (k + 1 + shift) ** exponent for k in range(count)))
