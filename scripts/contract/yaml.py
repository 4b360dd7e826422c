"""Writes YAML 1.2 of dictionaries, lists and scalars: blocks, and on one line what fits into one."""

import json
import re

WIDTH = 130
_PLAIN = re.compile(r"[A-Za-z_$/][A-Za-z0-9_./$-]*(?: [A-Za-z0-9_./$(-][A-Za-z0-9_./$()-]*)*")
_RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def _scalar(value):
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
            return value
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _flow(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(entry) for entry in value) + "]"
    return _scalar(value)


def _block(value, indent):
    """Lines of a dictionary or list that has entries."""
    pad = " " * indent
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
        label = f"{pad}{_scalar(key)}:" if isinstance(value, dict) else f"{pad}-"
        line = f"{label} {_flow(entry)}"
        nested = isinstance(entry, (dict, list)) and entry
        if nested and (len(line) > WIDTH or indent < 4):
            if isinstance(value, dict):
                yield label
                yield from _block(entry, indent + 2)
            else:
                lines = list(_block(entry, indent + 2))
                yield f"{pad}- {lines[0].lstrip()}"
                yield from lines[1:]
        elif isinstance(entry, str) and "\n" in entry:
            yield f"{label} |-"
            yield from (f"{pad}  {text}".rstrip() for text in entry.split("\n"))
        else:
            yield line


def dump(value):
    return "\n".join(_block(value, 0)) + "\n"
