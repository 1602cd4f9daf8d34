"""Stories around a chain of operations, with invented people and things."""

from fractions import Fraction
from random import Random

from step_kto._arithmetic_expressions import Expression, Operation, Operator, format_number

NAMES = ("Mei", "Ken", "Lin", "Amy", "Bo", "Tai")
THINGS = ("apples", "books", "coins", "stamps", "cards", "shells")
_EVENTS: dict[Operator, tuple[str, ...]] = {
    "+": ("{name} gets {n} more.", "{name} finds {n} more."),
    "-": ("{name} gives away {n}.", "{name} loses {n}."),
    "*": ("Then {name} has {n} times as many.", "A trade makes it {n} times as many."),
    "/": ("{name} keeps one part of {n} equal parts.",),
}


def tell_story(expression: Expression, rng: Random) -> str:
    """Tell a chain of operations as a story that asks for its value.

    Args:
        expression: a number, or operations whose right operands are numbers.
        rng: chooses name, thing and wording.

    Returns:
        The story, ending in a line break.
    """
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    events: list[str] = []
    while isinstance(expression, Operation):
        number = expression.right if isinstance(expression.right, Fraction) else Fraction(0)
        template = rng.choice(_EVENTS[expression.operator])
        events.append(template.format(name=name, n=format_number(number)))
        expression = expression.left
    opening = f"{name} has {format_number(expression)} {thing}."
    return " ".join((opening, *reversed(events), f"How many {thing} does {name} have?")) + "\n"


def story_words() -> tuple[str, ...]:
    """Return every word of the stories, sorted: what a small vocabulary needs."""
    text = " ".join(template for templates in _EVENTS.values() for template in templates)
    words = {word.strip(".?") for word in (*text.split(), "has", "How", "many", "does", "have")}
    return tuple(sorted({word for word in words if word.isalpha()} | set(NAMES) | set(THINGS)))
