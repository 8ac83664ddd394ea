"""The vocabulary of synthetic videos: shapes, colours, sizes, actions, and the words on signs."""

from __future__ import annotations

from .pictures import PICTURES

SHAPES = ("circle", "square", "triangle", "star", "cross", "diamond", "heart", "ring")

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (215, 35, 40),
    "orange": (245, 130, 15),
    "yellow": (245, 225, 45),
    "green": (35, 165, 60),
    "blue": (40, 85, 225),
    "purple": (135, 45, 185),
    "pink": (250, 140, 195),
    "white": (245, 245, 245),
}

# Radius as a fraction of the frame's shorter edge.
SIZES: dict[str, tuple[float, float]] = {"large": (0.21, 0.26), "small": (0.115, 0.145)}

DIRECTIONS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}

# What a thing does during its scene; the four directions stand for "moves …".
ACTIONS = (*DIRECTIONS, "still", "appears", "disappears")

# Wide videos also show pictures of everyday things (`pictures`), which have no one colour, signs, and things
# that change in place.
PICTURE_SIZES: dict[str, tuple[float, float]] = {"large": (0.25, 0.33), "small": (0.17, 0.21)}
SIGN = "sign"
SIGN_RADIUS = (0.36, 0.45)  # half its width
WORDS = (
    *(
        "bar",
        "bay",
        "cafe",
        "camp",
        "cold",
        "exit",
        "fast",
        "fuel",
        "free",
        "gate",
        "gym",
        "help",
        "home",
        "hot",
        "inn",
    ),
    *(
        "ice",
        "lost",
        "menu",
        "milk",
        "museum",
        "new",
        "north",
        "office",
        "open",
        "park",
        "play",
        "police",
        "push",
    ),
    *(
        "quiet",
        "sale",
        "pool",
        "shop",
        "slow",
        "south",
        "stop",
        "sugar",
        "lift",
        "tea",
        "toys",
        "water",
        "zoo",
    ),
)
NUMBERS = tuple(str(number) for number in range(10, 50))
# All that has a name of its own, or is one.
NAMES = (*PICTURES, *WORDS, *NUMBERS)
CHANGES = ("grows", "shrinks", "blinks", "turns")

BACKGROUNDS = ("flat", "gradient", "noise", "photo")
WIDE_BACKGROUNDS = (*BACKGROUNDS, "moving")
