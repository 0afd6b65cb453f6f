"""Draws the pictures of the articles: abstract landscapes in the colours of a section."""

import math
import random
from io import BytesIO

from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 1600, 1000
OVERSAMPLING = 2  # drawn twice as large and reduced, which smooths the edges


def draw_cover(style, palette, seed):
    """One picture of a style in STYLES as the bytes of a JPEG; the same arguments draw the same picture."""
    rng = random.Random(f"{style}-{seed}")
    size = (WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING)
    colours = list(palette)
    ground = [colours[3], colours[rng.choice([2, 4])]] if style != "orbits" else [colours[0], colours[1]]
    picture = _blend_down(size, *ground)
    STYLES[style][1](ImageDraw.Draw(picture), *size, colours, rng)
    picture = _add_grain(picture.reduce(OVERSAMPLING), rng)
    data = BytesIO()
    picture.save(data, "JPEG", quality=84, progressive=True)
    return data.getvalue()


def describe_cover(style):
    """What is to be seen in a picture of this style."""
    return STYLES[style][0]


def _blend_down(size, top, bottom):
    mask = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), mask)


def _add_grain(picture, rng):
    """Like printed paper. The noise is made from the seed: Pillow's own would differ every time."""
    tile = Image.frombytes("L", (256, 256), bytes(118 + (byte & 15) for byte in rng.randbytes(65536))).filter(ImageFilter.SMOOTH)
    grain = Image.new("L", picture.size)
    for x in range(0, picture.width, 256):
        for y in range(0, picture.height, 256):
            grain.paste(tile, (x, y))
    return ImageChops.overlay(picture, Image.merge("RGB", [grain] * 3))


def _mix(first, second, share):
    one, two = (tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5)) for colour in (first, second))
    return tuple(round(a + (b - a) * share) for a, b in zip(one, two, strict=True))


def _draw_hills(draw, width, height, colours, rng):
    radius = height * rng.uniform(0.09, 0.17)
    x, y = width * rng.uniform(0.2, 0.8), height * rng.uniform(0.25, 0.4)
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=_mix(colours[3], colours[2], rng.choice([0.1, 0.9])))
    layers = rng.randint(4, 6)
    for layer in range(layers):
        share = layer / (layers - 1)
        level = height * (0.45 + 0.4 * share)
        waves = [(rng.uniform(0.6, 3.4), rng.uniform(0, 6.3), height * rng.uniform(0.02, 0.09)) for _ in range(3)]
        ridge = [
            (x, level + sum(swing * math.sin(turns * 6.28 * x / width + phase) for turns, phase, swing in waves))
            for x in range(0, width + 16, 16)
        ]
        draw.polygon([*ridge, (width, height), (0, height)], fill=_mix(colours[4], colours[0], share))


def _draw_skyline(draw, width, height, colours, rng):
    radius = height * 0.3
    x = width * rng.uniform(0.3, 0.7)
    draw.ellipse([x - radius, height * 0.2, x + radius, height * 0.2 + 2 * radius], fill=_mix(colours[2], colours[3], 0.25))
    for layer in range(3):
        x, colour = -width * 0.05 * layer, _mix(colours[4], colours[0], layer / 2)
        while x < width:
            block = width * rng.uniform(0.035, 0.11)
            top = height * (rng.uniform(0.3, 0.62) + 0.13 * layer)
            draw.rectangle([x, top, x + block, height], fill=colour)
            if rng.random() < 0.4:
                draw.polygon([(x, top), (x + block / 2, top - block * 0.6), (x + block, top)], fill=colour)
            if layer == 2:
                lit = _mix(colours[2], colours[3], 0.5)
                pane = width * 0.009
                for column in range(int(block / (pane * 2.4)) - 1):
                    for row in range(int((height - top) / (pane * 3))):
                        if rng.random() < 0.22:
                            left, up = x + pane * (1.2 + 2.4 * column), top + pane * (1.6 + 3 * row)
                            draw.rectangle([left, up, left + pane, up + pane * 1.5], fill=lit)
            x += block * rng.uniform(1.0, 1.35)


def _draw_orbits(draw, width, height, colours, rng):
    x, y = width * rng.uniform(0.3, 0.7), height * rng.uniform(0.4, 0.75)
    for k in range(220):
        radius = rng.uniform(1, 3.4) * OVERSAMPLING
        star = (rng.uniform(0, width), rng.uniform(0, height))
        draw.ellipse([star[0], star[1], star[0] + radius, star[1] + radius], fill=_mix(colours[3], colours[1], k / 300))
    for ring in range(9, 0, -1):
        radius = height * 0.105 * ring
        box = [x - radius, y - radius, x + radius, y + radius]
        draw.ellipse(box, outline=_mix(colours[3], colours[0], 0.2 + 0.07 * ring), width=3 * OVERSAMPLING)
        angle, moon = rng.uniform(0, 6.28), height * rng.uniform(0.012, 0.04)
        cx, cy = x + radius * math.cos(angle), y + radius * math.sin(angle)
        draw.ellipse([cx - moon, cy - moon, cx + moon, cy + moon], fill=rng.choice([colours[2], colours[3], colours[4]]))
    core = height * 0.085
    draw.ellipse([x - core, y - core, x + core, y + core], fill=colours[2])


def _draw_waves(draw, width, height, colours, rng):
    rows = rng.randint(9, 13)
    turns, phase = rng.uniform(1.2, 2.6), rng.uniform(0, 6.28)
    radius = height * 0.16
    x = width * rng.uniform(0.25, 0.75)
    draw.ellipse([x - radius, height * 0.12, x + radius, height * 0.12 + 2 * radius], fill=colours[2])
    for row in range(rows):
        share = row / (rows - 1)
        level, swing = height * (0.3 + 0.68 * share), height * (0.014 + 0.03 * share)
        crest = [
            (x, level + swing * math.sin(turns * (1 + 0.5 * (1 - share)) * 6.28 * x / width + phase + row * 1.9))
            for x in range(0, width + 16, 16)
        ]
        colour = _mix(colours[1] if row % 2 else colours[4], colours[0], share * 0.75)
        draw.polygon([*crest, (width, height), (0, height)], fill=colour)
        draw.line(crest, fill=_mix(colours[3], colours[1], 0.3 + share * 0.5), width=2 * OVERSAMPLING)


def _draw_tiles(draw, width, height, colours, rng):
    side = height / 5
    for column in range(8):
        for row in range(5):
            x, y = column * side, row * side
            back, front = rng.sample(colours, 2)
            draw.rectangle([x, y, x + side, y + side], fill=back)
            match rng.randrange(5):
                case 0:
                    draw.ellipse([x + side * 0.12, y + side * 0.12, x + side * 0.88, y + side * 0.88], fill=front)
                case 1:
                    draw.polygon([(x, y), (x + side, y), (x, y + side)], fill=front)
                case 2 | 3:
                    corner_x, corner_y = x + side * rng.choice([-1, 0]), y + side * rng.choice([-1, 0])
                    start = {(-1, -1): 0, (0, -1): 90, (0, 0): 180, (-1, 0): 270}[
                        (round((corner_x - x) / side), round((corner_y - y) / side))
                    ]
                    draw.pieslice([corner_x, corner_y, corner_x + 2 * side, corner_y + 2 * side], start, start + 90, fill=front)
                case 4:
                    for stripe in range(3):
                        up = y + side * (stripe + 0.25) / 3
                        draw.rectangle([x, up, x + side, up + side / 6], fill=front)


def _draw_leaves(draw, width, height, colours, rng):
    for layer in range(3):
        for _ in range(7):
            x, y = rng.uniform(-0.05, 1.05) * width, height * rng.uniform(0.85, 1.1)
            length, lean = height * rng.uniform(0.45, 0.95) * (1 - 0.14 * layer), rng.uniform(-0.5, 0.5)
            thickness = length * rng.uniform(0.1, 0.17)
            spine = [(x + lean * length * share**2, y - length * share) for share in (k / 24 for k in range(25))]
            spread = [thickness * math.sin(math.pi * (k / 24) ** 0.8) for k in range(25)]
            outline = [(px - s, py) for (px, py), s in zip(spine, spread, strict=True)]
            outline += [(px + s, py) for (px, py), s in zip(reversed(spine), reversed(spread), strict=True)]
            colour = _mix(rng.choice([colours[1], colours[4], colours[2]]), colours[0], 0.15 + 0.3 * layer)
            draw.polygon(outline, fill=colour)
            draw.line(spine, fill=_mix(colours[3], colours[1], 0.5), width=2 * OVERSAMPLING)


STYLES = {
    "hills": ("Drawing of hills, one behind the other, with the sun low above them", _draw_hills),
    "tiles": ("Pattern of tiles with circles, triangles and quarter-rounds", _draw_tiles),
    "waves": ("Drawing of waves under a pale disc", _draw_waves),
    "skyline": ("Drawing of roofs and lit windows at dusk", _draw_skyline),
    "leaves": ("Drawing of tall leaves against an evening sky", _draw_leaves),
    "orbits": ("Drawing of moons on their circles around a bright centre", _draw_orbits),
}
