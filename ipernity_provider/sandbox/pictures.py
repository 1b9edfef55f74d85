"""Draw the pictures of the seeded documents: small landscapes, equal in every run."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Mapping
from typing import TypeAlias

from PIL import Image, ImageChops, ImageDraw, ImageFilter

W, H = 1500, 1000
Colour: TypeAlias = tuple[int, int, int]


def _sky(top: Colour, bottom: Colour) -> Image.Image:
    """Return a gradient from top to bottom."""
    ramp = Image.linear_gradient("L").resize((W, H))
    return Image.composite(Image.new("RGB", (W, H), bottom), Image.new("RGB", (W, H), top), ramp)


def _glow(image: Image.Image, x: int, y: int, radius: int, colour: Colour) -> None:
    """Draw a sun or moon with light around it."""
    light = Image.new("L", (W, H), 0)
    halo = 3 * radius
    ImageDraw.Draw(light).ellipse((x - halo, y - halo, x + halo, y + halo), fill=90)
    small = light.resize((W // 10, H // 10)).filter(ImageFilter.GaussianBlur(radius / 8))
    light = small.resize((W, H))
    image.paste(Image.new("RGB", (W, H), colour), mask=light)
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _ridge(
    draw: ImageDraw.ImageDraw, base: int, height: int, waves: tuple[float, float], colour: Colour
) -> None:
    """Draw a line of hills: the sum of two sine waves, filled down to the bottom."""
    slow, fast = (turns * math.tau / W for turns in waves)
    line = [
        (x, base - height * (math.sin(x * slow) + 0.45 * math.sin(1 + x * fast)))
        for x in range(0, W + 10, 10)
    ]
    draw.polygon([*line, (W, H), (0, H)], fill=colour)


def _water(image: Image.Image, horizon: int, tint: Colour) -> None:
    """Draw what is above the horizon below it: mirrored, darker and with streaks of light."""
    depth = H - horizon
    above = image.crop((0, max(0, horizon - depth), W, horizon))
    mirrored = above.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    mirrored = mirrored.resize((W, depth)).filter(ImageFilter.GaussianBlur(6))
    water = ImageChops.multiply(mirrored, Image.new("RGB", mirrored.size, tint))
    draw = ImageDraw.Draw(water)
    for row in range(8, depth, 14):
        start = (row * 7919) % W
        draw.line((start, row, start + 60 + row, row), fill=(230, 238, 245), width=1 + row // 120)
    image.paste(water, (0, horizon))


def boat() -> Image.Image:
    image = _sky((70, 130, 190), (250, 222, 190))
    _glow(image, 1080, 400, 60, (255, 240, 205))
    draw = ImageDraw.Draw(image)
    _ridge(draw, 590, 34, (1.3, 4), (110, 135, 160))
    _water(image, 600, (190, 210, 235))
    draw = ImageDraw.Draw(image)
    draw.polygon([(610, 640), (610, 250), (820, 610)], fill=(252, 250, 244))
    draw.polygon([(595, 620), (595, 300), (460, 600)], fill=(214, 78, 62))
    draw.rectangle((599, 230, 606, 660), fill=(84, 60, 44))
    draw.polygon([(420, 640), (850, 640), (770, 730), (480, 730)], fill=(120, 74, 48))
    draw.polygon([(420, 640), (850, 640), (838, 655), (434, 655)], fill=(240, 232, 214))
    return image


def mountains() -> Image.Image:
    image = _sky((38, 60, 110), (246, 180, 150))
    _glow(image, 430, 420, 70, (255, 226, 180))
    draw = ImageDraw.Draw(image)
    _ridge(draw, 560, 110, (1.6, 5.5), (132, 122, 158))
    _ridge(draw, 680, 90, (2.1, 6.5), (88, 92, 134))
    _ridge(draw, 800, 70, (1.2, 7.5), (52, 66, 102))
    _ridge(draw, 900, 40, (2.6, 9.5), (26, 40, 66))
    return image


def meadow() -> Image.Image:
    image = _sky((96, 170, 226), (226, 240, 246))
    _glow(image, 1180, 220, 75, (255, 244, 190))
    draw = ImageDraw.Draw(image)
    _ridge(draw, 600, 50, (1.1, 3.5), (140, 180, 130))
    _ridge(draw, 700, 44, (1.7, 4.2), (112, 164, 92))
    _ridge(draw, 820, 30, (0.8, 3.1), (84, 142, 66))
    draw.rectangle((388, 520, 412, 760), fill=(92, 66, 46))
    for x, y, radius in ((400, 430, 130), (310, 500, 90), (490, 500, 90), (400, 540, 100)):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(66, 120, 62))
    for flower in range(140):
        x, y = int(flower * 0.618 % 1 * W), int(845 + flower * 0.7549 % 1 * 150)
        petal = ((236, 84, 76), (250, 214, 84), (245, 245, 240))[flower % 3]
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=petal)
    return image


def night_city() -> Image.Image:
    image = _sky((10, 14, 40), (64, 52, 96))
    _glow(image, 1150, 210, 62, (244, 240, 220))
    draw = ImageDraw.Draw(image)
    for star in range(160):
        x, y = int(star * 0.618 % 1 * W), int(star * 0.7549 % 1 * 480)
        draw.point((x, y), fill=(255, 255, 255))
    for house in range(15):
        left, top = house * 100, 420 + house * 53 % 190
        draw.rectangle((left, top, left + 92, 700), fill=(18, 20, 38))
        for window in range(24):
            x, y = left + 12 + window % 4 * 20, top + 16 + window // 4 * 26
            if (house * 7 + window * 5) % 3:
                draw.rectangle((x, y, x + 9, y + 13), fill=(250, 210, 120))
    _water(image, 700, (130, 140, 190))
    return image


def newsroom() -> Image.Image:
    image = _sky((120, 190, 190), (244, 232, 208))
    _glow(image, 300, 300, 80, (255, 250, 226))
    draw = ImageDraw.Draw(image)
    _ridge(draw, 860, 20, (1.1, 3), (170, 190, 160))
    draw.rectangle((560, 210, 940, 900), fill=(150, 96, 78))
    for window in range(24):
        x, y = 600 + window % 4 * 82, 330 + window // 4 * 90
        light = (252, 232, 170) if window % 5 else (70, 84, 104)
        draw.rectangle((x, y, x + 46, y + 58), fill=light)
    draw.ellipse((670, 70, 830, 230), fill=(222, 184, 84))
    draw.rectangle((620, 180, 880, 214), fill=(112, 70, 58))
    return image


def sunrise(risen: float = 1.0) -> Image.Image:
    """Return a frame of the film: the sun behind hills, lowest with 0 and highest with 1."""
    image = _sky(
        (int(40 + 50 * risen), int(60 + 90 * risen), int(110 + 90 * risen)),
        (250, int(150 + 60 * risen), int(110 + 70 * risen)),
    )
    _glow(image, int(500 + 500 * risen), int(660 - 420 * risen), 70, (255, 236, 190))
    draw = ImageDraw.Draw(image)
    _ridge(draw, 640, 60, (1.4, 5.0), (96, 92, 130))
    _ridge(draw, 760, 46, (2.2, 6.1), (62, 74, 104))
    _ridge(draw, 880, 30, (1.1, 7.3), (34, 50, 66))
    return image


def draw_icon(name: str) -> bytes:
    """Return a PNG: a circle whose colour depends on the name."""
    image = Image.new("RGBA", (48, 48))
    hue = zlib.crc32(name.encode()) % 360
    ImageDraw.Draw(image).ellipse((1, 1, 47, 47), fill=f"hsl({hue}, 60%, 50%)")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def draw_cover(media: str, md5: str) -> Image.Image:
    """Return a picture that stands for a film, a sound or a page: Pillow cannot decode them.

    :param md5: of the file; each file has colours of its own.
    """
    hue = int(md5[:4], 16) % 360
    image = Image.new("RGB", (800, 534), f"hsl({hue}, 45%, 40%)")
    draw = ImageDraw.Draw(image)
    light = f"hsl({hue}, 40%, 85%)"
    if media == "video":
        draw.polygon([(330, 167), (330, 367), (500, 267)], fill=light)
    elif media == "audio":
        for bar, height in enumerate(bytes.fromhex(md5)):
            left, half = 80 + bar * 41, 20 + height * 0.8
            draw.rectangle((left, 267 - half, left + 22, 267 + half), fill=light)
    else:
        draw.rectangle((260, 57, 540, 477), fill=light)
        for line, width in enumerate(bytes.fromhex(md5)[:12]):
            top = 97 + line * 30
            draw.rectangle((290, top, 390 + width * 0.47, top + 8), fill=f"hsl({hue}, 30%, 60%)")
    return image


PICTURES: Mapping[str, Callable[[], Image.Image]] = {
    "boat": boat,
    "mountains": mountains,
    "meadow": meadow,
    "night_city": night_city,
    "newsroom": newsroom,
}
