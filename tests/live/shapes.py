"""shapes.py - where an answer differs from a fixture in the names and kinds of what is in it

A shape is made of a fixture: of the elements of a list together, for an element may lack what another has. Values are
not compared. null agrees with every kind, in the fixture and in the answer; names of tests/fixtures/sometimes.json may
be there or not. What stands in `items` is compared with the fixture's items of the same `type`; where there is none it is
not compared, and said so.
"""

import json
import os

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
FIXTURES = os.path.join(SOURCE, "tests", "fixtures")


def read_fixture(name):
    with open(os.path.join(FIXTURES, name + ".json"), encoding="utf-8") as file:
        return json.load(file)


def fixture_names():
    return sorted(f"{folder}/{name[:-5]}" for folder in ("openai", "llamaparse")
                  for name in os.listdir(os.path.join(FIXTURES, folder)) if name.endswith(".json"))


SOMETIMES = set(read_fixture("sometimes"))


def kind(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    return {str: "a string", list: "a list", dict: "an object"}[type(value)]


def differences(wanted, got, left_out=None):
    """Sentences, one for each difference; none if they agree. What could not be compared is added to left_out."""
    return _compare([wanted], got, "$", [] if left_out is None else left_out)


def _compare(samples, got, at, left_out):
    samples = [s for s in samples if s is not None]
    if not samples or got is None:
        return []
    alike = [s for s in samples if kind(s) == kind(got)]
    if not alike:
        return [f"{at}: is {kind(got)}, in the fixture {kind(samples[0])}"]
    if isinstance(got, dict):
        return _compare_objects(alike, got, at, left_out)
    if isinstance(got, list):
        return _compare_lists([element for sample in alike for element in sample], got, at, left_out)
    return []


def _compare_objects(samples, got, at, left_out):
    always = set.intersection(*(set(s) for s in samples)) - SOMETIMES
    known = set.union(*(set(s) for s in samples))
    found = [f"{at}.{name}: is missing" for name in sorted(always - set(got))]
    found += [f"{at}.{name}: is not in the fixture ({kind(got[name])})"
              for name in sorted(set(got) - known - SOMETIMES)]
    for name in sorted(known & set(got)):
        found += _compare([s[name] for s in samples if name in s], got[name], f"{at}.{name}", left_out)
    return found


def _compare_lists(samples, got, at, left_out):
    found = []
    for element in got:
        like = _of_its_type(samples, element) if at.endswith(".items") else samples
        if samples and not like:
            left_out.append(f"{at}[] of type {element['type'][:40]!r}")
            continue
        for sentence in _compare(like, element, f"{at}[]", left_out):
            if sentence not in found:  # the same of every element is said once
                found.append(sentence)
    return found


def _of_its_type(samples, element):
    if isinstance(element, dict) and isinstance(element.get("type"), str):
        return [s for s in samples if isinstance(s, dict) and s.get("type") == element["type"]]
    return samples
