"""What the tiny model can be asked for: words, colours, shapes, counts and the sentences that name them.

Imports nothing heavy, because the load generator and the demo read it too.
"""

from typing import Final

Rgb = tuple[int, int, int]

WIDTH_PX: Final = 96
HEIGHT_PX: Final = 64
MAX_LETTERS: Final = 5
FIRST_LETTER_TOKEN: Final = 4  # <bos> the word " S A L E ...: training aligns letter i with token 4 + i

COLOURS: Final[dict[str, Rgb]] = {
    "red": (208, 28, 32),
    "orange": (244, 132, 20),
    "yellow": (250, 214, 30),
    "green": (20, 128, 50),
    "blue": (30, 70, 200),
    "purple": (126, 40, 156),
    "black": (12, 12, 12),
    "white": (250, 250, 250),
}
BACKGROUNDS: Final = ("white", "black", "yellow", "blue")
CONTRAST_MIN: Final = 4.5
SHAPES: Final = ("circle", "square", "triangle", "star", "diamond", "heart")
SIZES: Final = ("small", "large")
NUMBERS: Final = ("one", "two", "three", "four", "five", "six")
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS: Final = "0123456789"

TRAINING_WORDS: Final = tuple(
    """
    AT BY DO GO HI IN ME MY NO OF OK ON SO TO UP US VS XL
    ACE AGE ALL AND ANY ART BAR BED BIG BOX BUY CAB CAN CAR CAT COW CUP CUT DAY DOG DRY EGG END EYE FAR
    FEW FLY FOR FUN GAS GET GYM HAT HER HOT ICE INK JAM JET JOY KEY LAB LEG LOW MAN MAP MIX MUD NET NEW
    NUT OAK OIL ONE OUR OUT OWL PAN PAY PEN PIE RED ROW RUN SEA SHE SIX SKY SON TAX TEA THE TIP TOP TOY
    TWO USE VAN WAR WAX WEB WIN YES ZIP
    ABLE AREA ARMY AWAY BABY BACK BALL BAND BANK BEST BIRD BODY BOOK BUSY CAKE CALL CITY CLUB COAT COOL
    DARK DEAL DOOR DUCK EASY EXIT FACE FAST FILM FLAG FOOD FREE GAME GIRL GLAD GOOD HALF HAND HOME IDEA
    IRON JAZZ JUMP KING KITE LAMP LAZY LIFE LOVE MILK MOON NEWS NEXT NOTE OPEN OVEN PAGE PARK PLAY QUIZ
    RAIN RICE ROCK SALE SHIP SHOP SNOW SONG STAR TAXI TEAM TIME TREE UNIT VIEW WALK WIFI WIND YEAR ZERO
    ABOUT APPLE BEACH BLACK BREAD BRAIN CHAIR CLEAN CLOUD COLOR DANCE DREAM EARTH EMPTY EQUAL FIELD FLOOR
    FRESH FRUIT GLASS GREEN HAPPY HEART HOUSE IMAGE JUICE KNIFE LEMON LIGHT MAGIC MONEY MUSIC NIGHT OCEAN
    PAPER PARTY PHONE PIZZA QUEEN QUICK RADIO RIVER SEVEN SMILE SOUND SPACE STONE SUGAR TABLE TIGER TODAY
    TRAIN UNDER VIDEO VOICE WATER WHITE WORLD YOUNG ZEBRA
    """.split()  # noqa: SIM905 - a list of 240 literals would hide the words
)
HELD_OUT_WORDS: Final = tuple(
    """
    AM AN BE HE IF IT PI TV WE ID
    ADD AIR ANT APE BAG BAT BUG BUS COD CRY DEN DIG DIM EAR ELF FAN FIG FIX FOX GAP GUM HEN HUB HUG JOB
    JAR KID KIT LOG LIP MOB NAP NOD OWN PET PIG POT RUG SAD SUN TEN TUB VET WET WIG YAK ZOO
    AQUA BEAR BELL BIKE BLUE BOAT BOLD CAFE CHEF COIN CORN CREW DISH DRUM ECHO FARM FISH FORK FROG GATE
    GIFT GOLD GRID HERO HOOK HUNT JADE JURY KIWI KNOT LAKE LEAF LION MASK MAZE MINT NEST OATS PEAR PINK
    PLUM POEM QUAY ROSE SAND SILK SWAN TENT TURF VASE WAVE WOLF YARN YOGA ZINC ZONE
    ANGEL BADGE BERRY BRICK CABIN CANDY CHESS CORAL CROWN DELTA EAGLE FLAME FLUTE GHOST GRAPE HONEY HOTEL
    JELLY JEWEL KOALA LUCKY MANGO MAPLE MOUSE NURSE OLIVE PANDA PEARL PIANO PLANT QUILT ROBOT SALAD SHARK
    SWORD TORCH TULIP VIOLA WHALE WHEAT YACHT
    """.split()  # noqa: SIM905
)


def _linear(channel: int) -> float:
    share = channel / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def _luminance(colour: str) -> float:
    red, green, blue = COLOURS[colour]
    return 0.2126 * _linear(red) + 0.7152 * _linear(green) + 0.0722 * _linear(blue)


def contrast(colour: str, background: str) -> float:
    """Contrast ratio of two named colours, 1 to 21, as WCAG 2.1 defines it."""
    high, low = sorted((_luminance(colour), _luminance(background)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def colour_pairs() -> tuple[tuple[str, str], ...]:
    """All (colour, background) pairs that the model knows: those that contrast enough to be read."""
    return tuple((c, b) for b in BACKGROUNDS for c in COLOURS if contrast(c, b) >= CONTRAST_MIN)


def prompt(word: str, colour: str, background: str) -> str:
    """The sentence that asks for one upper-case word of two to five letters or digits."""
    return f'the word "{word}" in {colour} on {background}'


def prompt_under_shape(word: str, colour: str, background: str, shape: str, shape_colour: str) -> str:
    """The sentence that asks for a word with a logo-like shape above it."""
    return f"{prompt(word, colour, background)} under a {shape_colour} {shape}"


def prompt_shape(shape: str, size: str, colour: str, background: str) -> str:
    """The sentence that asks for one shape alone."""
    return f"a {size} {colour} {shape} on {background}"


def prompt_dots(count: int, colour: str, background: str) -> str:
    """The sentence that asks for one to six dots, laid out as on a die."""
    noun = "dot" if count == 1 else "dots"
    return f"{NUMBERS[count - 1]} {colour} {noun} on {background}"
