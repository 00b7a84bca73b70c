"""live.py - a few small requests to the real services, their answers held against the fixtures of the stand-ins

    live.py [--check] [options of scripts/live]

scripts/live says what is asked, what it costs, and what the exit status means; it starts the daemon that a callback
needs, and names it in LIVE_DAEMON, LIVE_TOKEN_FILE and LIVE_SECRET_FILE. --check looks at options and keys, and prints
what of them stands in that daemon's configuration.
"""

import argparse
import json
import os
import sys
from collections import namedtuple
from decimal import Decimal, InvalidOperation

import callback
import embeddings
import parsing
from ask import NoAnswer
from shapes import differences, fixture_names, read_fixture
from spend import TOKEN_PRICES, CeilingReached, Spend, page_prices, usd

AGREED, DIFFERED, WRONG = 0, 1, 2
OPENAI, LLAMA = "OPENAI_API_KEY (or OPENAI_BASE_URL for a server without keys)", "LLAMA_CLOUD_API_KEY"
Step = namedtuple("Step", "name service sends most run")
STEPS = [
    Step("embeddings", OPENAI, "two short texts to be embedded, as text and in base64", embeddings.most_of_embeddings,
         embeddings.run_embeddings),
    Step("embeddings-refused", OPENAI, "what is refused: an unknown model, an empty text, one too long, a wrong key",
         embeddings.most_of_refusals, embeddings.run_refusals),
    Step("parse-v1", LLAMA, "a PDF of one page; its status and its result as markdown and json", parsing.most_of_page,
         parsing.run_v1),
    Step("parse-v2", LLAMA, "a PDF of one page by the second interface; its status and result", parsing.most_of_page,
         parsing.run_v2),
    Step("parse-refused", LLAMA, "what is refused: an unknown job, a wrong key, an unknown tier", parsing.most_of_refusals,
         parsing.run_refusals),
    Step("parse-encrypted", LLAMA, "a PDF of one page that nobody can open", parsing.most_of_page, parsing.run_encrypted),
    Step("callback", LLAMA, "a PDF of one page by way of docmilld, to be called back at the public address", callback.most,
         callback.run),
]


class Live:
    """What the steps share: options, spending, and what was found."""

    def __init__(self, options):
        self.options = options
        self.spend = Spend(options.ceiling)
        self.compared = set()
        self.found = []
        self.left_out = set()

    def clean(self, text):
        for secret in (self.options.openai_key, self.options.llama_key):
            if secret:
                text = text.replace(secret, "***")
        return text

    def say(self, text):
        print("    " + self.clean(text), flush=True)

    def differ(self, text):
        self.found.append(text)
        self.say("differs  " + text)

    def compare(self, fixture, answer, status):
        if answer.status != status:
            self.compared.add(fixture)
            self.differ(f"{fixture}: status {answer.status} instead of {status}: {answer.body[:200].decode(errors='replace')}")
            return
        self.compare_value(fixture, answer.json)

    def compare_value(self, fixture, value):
        again = fixture in self.compared
        self.compared.add(fixture)
        left_out = []
        found = differences(read_fixture(fixture), value, left_out)
        self.left_out.update(f"{fixture}: {what}" for what in left_out)
        for sentence in found:
            self.differ(f"{fixture}: {sentence}")
        if not found and not again:
            self.say("agrees   " + fixture)

    def compare_words(self, fixture, answer, paths):
        """Words that decide what docmill does."""
        for path in paths:
            wanted, got = read_fixture(fixture), answer.json
            for name in path:
                wanted, got = (v.get(name) if isinstance(v, dict) else None for v in (wanted, got))
            if wanted != got:
                self.differ(f"{fixture}: $.{'.'.join(path)} is {str(got)[:60]!r} instead of {wanted!r}")


def wrong(text):
    print("live: " + text, file=sys.stderr)
    sys.exit(WRONG)


def amount(text):
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of US dollars")
    return value


def read_options(arguments):
    parser = argparse.ArgumentParser(prog="live", add_help=False, allow_abbrev=False)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--yes", "-y", action="store_true")
    parser.add_argument("--ceiling", type=amount, default=Decimal(1))
    parser.add_argument("--only", type=lambda names: names.split(","), default=None)
    parser.add_argument("--tier", default="cost_effective")
    parser.add_argument("--public-url", type=lambda url: url.rstrip("/"))
    parser.add_argument("--listen", type=int, default=8000)
    parser.add_argument("--wait", type=int, default=300)
    options = parser.parse_args(arguments)
    take_environment(options)
    options.page_prices = page_prices()
    if options.tier not in options.page_prices:
        wrong(f"--tier: one of {', '.join(options.page_prices)}")
    options.page_price = options.page_prices[options.tier]
    return options


def take_environment(options):
    env = {name: value for name, value in os.environ.items() if value}
    options.openai_key = env.get("OPENAI_API_KEY")
    options.openai_url = env.get("OPENAI_BASE_URL", "https://api.openai.com/v1").rstrip("/")
    options.openai_model = env.get("OPENAI_MODEL", "text-embedding-3-small")
    options.openai_kind = env.get("OPENAI_KIND", "openai" if "OPENAI_BASE_URL" not in env or options.openai_key else "generic")
    options.llama_key = env.get("LLAMA_CLOUD_API_KEY")
    options.llama_url = env.get("LLAMA_CLOUD_BASE_URL", "https://api.cloud.llamaindex.ai").rstrip("/")
    options.token_price = TOKEN_PRICES.get(options.openai_model)
    if "OPENAI_PRICE" in env:
        try:
            options.token_price = amount(env["OPENAI_PRICE"])
        except argparse.ArgumentTypeError as error:
            wrong(f"OPENAI_PRICE: {error}")
    options.there = {OPENAI: bool(options.openai_key or "OPENAI_BASE_URL" in env), LLAMA: bool(options.llama_key)}


def is_asked(step, options):
    """A reason why not, or None."""
    if step.name == "callback" and not options.public_url:
        return "asked for by --public-url"
    if options.only and step.name not in options.only and not (step.name == "callback" and options.public_url):
        return "not among --only"
    if not options.there[step.service]:
        return f"{step.service} is not set"
    if step.name == "embeddings-refused" and not embeddings.refusals_of(options):
        return f"no refusals are kept of OPENAI_KIND {options.openai_kind}"
    return None


def check_options(options):
    names = [step.name for step in STEPS]
    for name in options.only or []:
        if name not in names:
            wrong(f"--only: {name} is none of {', '.join(names)}")
    if options.only and "callback" in options.only and not options.public_url:
        wrong("--only callback: wants --public-url")
    if not any(options.there.values()):
        wrong(f"no keys: set {OPENAI}, {LLAMA}, or both")
    for step in STEPS:
        named = step.name in (options.only or []) or step.name == "callback" and options.public_url
        if named and not options.there[step.service]:
            wrong(f"{step.name}: set {step.service}")
    if options.openai_kind not in embeddings.KINDS:
        wrong(f"OPENAI_KIND: one of {', '.join(embeddings.KINDS)}")
    uses_openai = any(step.service == OPENAI and not is_asked(step, options) for step in STEPS)
    if uses_openai and options.token_price is None:
        wrong(f"set OPENAI_PRICE to what a million tokens of {options.openai_model} cost in US dollars (0: nothing)")
    stand_in = options.llama_url.startswith("http://")
    if options.public_url and not options.public_url.startswith("https://") and not stand_in:
        wrong("--public-url: begins with https://")
    if not 1 <= options.listen <= 65535:
        wrong("--listen: a port, 1 to 65535")


def daemon_settings(options):
    """For the daemon that is called back. libconfig's strings know the same simple escapes as JSON's."""
    text = json.dumps
    llamaparse = {"base_url": options.llama_url, "tier": options.tier, "webhook_url": options.public_url or ""}
    lines = [" ".join(f"{name} = {text(value)};" for name, value in llamaparse.items()),
             f'budget = {{ daily = "{options.page_price:f}"; }};']
    if options.llama_url.startswith("http://"):  # a stand-in
        lines.append('http = { allow_private = "all"; };')
    return "\n".join(lines)


def tell_plan(options, asked):
    total = sum((step.most(options) for step in asked), Decimal(0))
    print("==> What will be sent, and what it can cost at most", flush=True)
    if any(step.service == OPENAI for step in asked):
        print(f"    embeddings  {options.openai_url} ({options.openai_model}, {usd(options.token_price)} a million tokens)")
    if any(step.service == LLAMA for step in asked):
        print(f"    parsing     {options.llama_url} ({options.tier}, {usd(options.page_price)} a page)")
    for step in asked:
        print(f"    {step.name:<19} {usd(step.most(options)):<16} {step.sends}")
    print(f"    {'all of it':<19} {usd(total):<16} the ceiling is {usd(options.ceiling)}", flush=True)


def confirm(options, question):
    """Off a terminal nobody is asked: the ceiling holds."""
    if options.yes or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    try:
        return input(f"    {question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def run_step(live, step):
    """None if it ran, or the reason why it did not, or not to its end. CeilingReached goes on to the caller."""
    print(f"==> {step.name}: sends {step.sends}; costs at most {usd(step.most(live.options))}", flush=True)
    if not confirm(live.options, "Send it?"):
        return "you said no"
    if live.spend.spent + step.most(live.options) > live.options.ceiling:
        raise CeilingReached(f"it could cost {usd(step.most(live.options))}; {usd(live.spend.spent)} of the ceiling of "
                             f"{usd(live.options.ceiling)} may be spent already")
    try:
        step.run(live)
    except NoAnswer as why:
        live.differ(f"could not go on: {why}")
    return None


def run_all(live, asked):
    """Reasons of the steps that did not run, by name."""
    left, after = {}, None
    for step in asked:
        reason = after
        if after is None:
            try:
                reason = run_step(live, step)
            except CeilingReached as reached:
                reason, after = f"the ceiling: {reached}", "the ceiling was reached before"
            except KeyboardInterrupt:
                reason, after = "it was interrupted", "interrupted before"
        if reason:
            left[step.name] = reason
    return left


def tell_end(live, not_asked, left):
    print("==> Not run")
    for step in STEPS:
        reason = left.get(step.name) or not_asked.get(step.name)
        if reason:
            print(f"    not run  {step.name}: {reason}")
    for what in sorted(live.left_out):
        print(f"    not run  part of {what}: the fixture has none")
    for name in fixture_names():
        if name not in live.compared:
            print(f"    not run  fixture {name}: no answer was compared with it")
    print(f"==> compared with {len(live.compared)} fixtures; {len(live.found)} differences; {len(left)} steps asked for and "
          f"not run; at most {usd(live.spend.spent)} spent", flush=True)


def main(arguments):
    options = read_options(arguments)
    check_options(options)
    if options.check:
        print(daemon_settings(options))
        return AGREED
    not_asked = {step.name: reason for step in STEPS if (reason := is_asked(step, options))}
    asked = [step for step in STEPS if step.name not in not_asked]
    live = Live(options)
    tell_plan(options, asked)
    left = run_all(live, asked)
    tell_end(live, not_asked, left)
    return DIFFERED if live.found or left else AGREED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
