"""spend.py - what a request costs at most, and the ceiling that no request may pass

Prices: of a page from docs/providers.md, which the daemon prints from its own table; of a million tokens from the list
below. Before a request its highest price is reserved, and refused if everything reserved and spent would pass the
ceiling; afterwards what the service counted takes its place. What nobody counted stays at its highest.
"""

import os
import re
from decimal import Decimal

from shapes import SOURCE

TOKEN_PRICES = {  # US dollars a million tokens
    "text-embedding-3-small": Decimal("0.02"),
    "text-embedding-3-large": Decimal("0.13"),
    "text-embedding-ada-002": Decimal("0.10"),
}
MARKS_PER_INPUT = 8  # tokens that a server may add to each text


class CeilingReached(Exception):
    pass


def page_prices():
    """US dollars a page by tier."""
    with open(os.path.join(SOURCE, "docs", "providers.md"), encoding="utf-8") as file:
        table = file.read().split("| tier | credits a page | USD a page |", 1)[1]
    return {m[1]: Decimal(m[2]) for m in re.finditer(r"^\| (\w+) \| \d+ \| ([0-9.]+) \|$", table, re.M)}


def most_tokens(texts):
    """No token is shorter than a byte."""
    return sum(len(text.encode()) + MARKS_PER_INPUT for text in texts)


def for_tokens(tokens, price):
    return price * tokens / 1_000_000


def usd(amount):
    return f"{amount.normalize():f} USD" if amount else "nothing"


class Spend:
    def __init__(self, ceiling):
        self.ceiling = ceiling
        self.spent = Decimal(0)

    def reserve(self, most):
        if self.spent + most > self.ceiling:
            raise CeilingReached(f"it could cost {usd(most)}; {usd(self.spent)} of the ceiling of {usd(self.ceiling)} "
                                 "may be spent already")
        self.spent += most

    def settle(self, most, real):
        """What was reserved as `most` cost `real`."""
        self.spent += real - most
