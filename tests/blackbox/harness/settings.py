"""settings.py - writes a configuration file from dotted keys"""

import json


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "(" + ", ".join(_value(v) for v in value) + ")"
    # libconfig's strings know the same simple escapes as JSON's
    return json.dumps(value, ensure_ascii=False)


def _group(tree, indent):
    lines = []
    for name, value in tree.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name} = {{", *_group(value, indent + "    "), f"{indent}}};"]
        else:
            lines.append(f"{indent}{name} = {_value(value)};")
    return lines


def write(path, keys, pools=None):
    """keys: {"database.url": "...", ...}; pools: a list of {"name": ..., "role": ..., ...}."""
    tree = {}
    collections = keys.get("collections")
    for key, value in keys.items():
        if value is None or key == "collections":
            continue
        *parents, last = key.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    lines = _group(tree, "")
    if collections:
        rows = [" { " + " ".join(f"{k} = {_value(v)};" for k, v in one.items()) + " }" for one in collections]
        lines.append("collections = (" + ",".join(rows) + " );")
    if pools:
        rows = [" { " + " ".join(f"{k} = {_value(v)};" for k, v in pool.items()) + " }" for pool in pools]
        lines.append("pools = (" + ",".join(rows) + " );")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
