"""What the C++ headers say of the wire: subjects, messages, enums, error codes. Read as text, as they are written here."""

import dataclasses
import re
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent.parent
MESSAGES = REPO / "common" / "messages"
SUBJECTS = REPO / "common" / "subjects" / "subjects.h"
COMPONENTS = MESSAGES / "components.h"

MAX_ID = 2**53 - 1
_NUMBERS = {"json::kMaxId": MAX_ID, "86400 * 365": 86400 * 365, "int64_t{86400} * 365": 86400 * 365}


@dataclasses.dataclass(frozen=True)
class Field:
    """A call of Describe(): `v.Required("item_id", s.item_id, json::Range(1, json::kMaxId));`."""

    name: str
    kind: str  # Required, Optional, Nullable or Constant
    type: str  # of the C++ member, without arc::messages, such as std::vector<OrderLine>; of a Constant std::string
    range: tuple | None  # (low, high), both inclusive
    default: object  # what the member begins with: a number, boolean or string; None when nothing is said
    constant: str | None  # the text of a Constant

    def always_sent(self):
        """Whether the encoder writes it whatever its value is."""
        return self.kind != "Optional" or not self.type.startswith("std::optional<")


@dataclasses.dataclass(frozen=True)
class Struct:
    name: str  # as in the documentation: a component of the screen is called by its `type`
    header: str  # the header's file name
    component: bool  # whether it is one of kiosk.ui.update's components
    fields: tuple


def constants(path):
    """The string constants of a header, by name."""
    return dict(re.findall(r'^inline constexpr char (\w+)\[\] = "([^"]+)";', path.read_text(), re.MULTILINE))


def headers():
    return sorted(set(MESSAGES.glob("*.h")) - {COMPONENTS}) + [COMPONENTS]


def _number(text):
    text = text.strip()
    return _NUMBERS[text] if text in _NUMBERS else int(text)


def _default(text):
    if not text:
        return None
    if text in ("true", "false"):
        return text == "true"
    if text.startswith('"'):
        return text[1:-1]
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"-?\d+\.\d+", text):
        return float(text)
    return text  # an enumerator, such as LedPattern::kSolid


def structs(path):
    """Every message with Describe() of a header, in its order. What only others are made of has no name on the wire: its fields are theirs."""
    found = []
    text = path.read_text()
    inherited = {}
    bases = set(re.findall(r"^struct \w+ : (\w+) \{", text, re.MULTILINE))
    for name, base, body in re.findall(r"^struct (\w+)(?: : (\w+))? \{\n(.*?)^\};", text, re.MULTILINE | re.DOTALL):
        if "Describe(" not in body:
            continue
        at = body.index("template <")
        declared = re.sub(r"\s+", " ", re.sub(r"//.*", "", body[:at]))
        members = {
            member: (kind.strip().replace("messages::", ""), default)
            for kind, member, default in re.findall(r"([\w:<>, ]+?) (\w+)(?: = ([^;]+))?;", declared)
        }
        fields = list(inherited[base]) if base else []
        for kind, field, rest in re.findall(r'v\.(\w+)\(\s*"(\w+)"(.*?)\);', body[at:], re.DOTALL):
            bounds = re.search(r"json::Range\(([^()]*)\)", rest)
            limits = tuple(_number(part) for part in bounds.group(1).split(",")) if bounds else None
            if kind == "Constant":
                text = re.search(r'"(\w+)"', rest)
                constant = text.group(1) if text else _default(members["kCommand"][1])
                fields.append(Field(field, kind, "std::string", None, None, constant))
            else:
                kind_of_member, default = members[re.search(r"\bs\.(\w+)", rest).group(1)]
                fields.append(Field(field, kind, kind_of_member, limits, _default(default), None))
        if name in bases:
            inherited[name] = fields
            continue
        component = re.search(r'kType = "(\w+)"', body)
        is_component = path == COMPONENTS
        found.append(Struct(component.group(1) if component else name, path.name, is_component and bool(component), tuple(fields)))
    return found


def enums(path):
    """The names on the wire of every enum of a header that has EnumNames()."""
    text = path.read_text()
    return {
        name: re.findall(r'"(\w+)"', names)
        for name, names in re.findall(r"EnumNames\((\w+)\) \{.*?kNames = \{(.*?)\};", text, re.DOTALL)
    }


def enumerators(path):
    """`LedPattern::kSolid` as what it is on the wire."""
    text = path.read_text()
    found = {}
    for name, names in enums(path).items():
        body = re.search(r"enum class %s \{(.*?)\}" % name, text, re.DOTALL).group(1)
        members = re.findall(r"\bk\w+", re.sub(r"//.*", "", body))
        assert len(members) == len(names), f"{path.name}: {name} has {len(members)} values and {len(names)} names"
        found.update({f"{name}::{member}": text for member, text in zip(members, names)})
    return found


def error_codes():
    """The error codes and whether each is retryable, in the order of status.h."""
    source = (REPO / "common" / "status" / "status.h").read_text()
    return re.findall(r"^  k\w+,\s*// ([A-Z_]+):", source, re.MULTILINE)


def scoped_families():
    """By prefix of the subjects that belong to one kiosk, the number of tokens without the kiosk's."""
    source = SUBJECTS.with_suffix(".cc").read_text()
    return {prefix: int(tokens) for prefix, tokens in re.findall(r'^\s+\{"(kiosk\.[\w.]+)", (\d)\},$', source, re.MULTILINE)}


def tables(text):
    """The field tables of docs/messages.md: by struct, the rows by field, each a list of its cells."""
    found = {}
    for name, table in re.findall(r"^\*\*`(\w+)`\*\*\n\n((?:\|.*\n)+)", text, re.MULTILINE):
        rows = {}
        for line in table.splitlines()[2:]:
            # A cell may hold an escaped bar.
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            rows[cells[0].strip("`")] = cells
        found[name] = rows
    return found


def documented_range(bounds):
    """A range as the tables write it."""
    low, high = ("2^53−1" if value == MAX_ID else str(value) for value in bounds)
    return low if low == high else f"{low} to {high}"
