"""The section "The voice specification, field by field" of docs/messages.md, from the specification's examples and the tables above it."""

import json
import re

from contract import headers

EXAMPLES = headers.REPO / "tests" / "contract" / "examples" / "voice_specification.json"
BEGIN = "<!-- fields: begin -->\n"
END = "<!-- fields: end -->\n"

# Fields of the specification that no message here has.
ABSENT = {("HeartbeatMetrics", "goroutines"): "`threads` stands in its place: no agent here has goroutines"}


def _leaves(structs, struct, value, path=""):
    """Every (path, value, struct, field) of an example; the field is None where the struct has none."""
    fields = {field.name: field for field in structs[struct].fields}
    for name, entry in value.items():
        field = fields.get(name)
        inner = re.sub(r"^std::(?:optional|vector)<(.*)>$", r"\1", field.type) if field else None
        if inner in structs and isinstance(entry, dict):
            yield from _leaves(structs, inner, entry, f"{path}{name}.")
        elif inner in structs:
            yield from _leaves(structs, inner, entry[0], f"{path}{name}[].")
        else:
            yield f"{path}{name}", entry, struct, field


def section(page):
    """What belongs between BEGIN and END."""
    structs = {}
    for path in headers.headers():
        structs.update({struct.name: struct for struct in headers.structs(path)})
    rows = headers.tables(page)
    lines = []
    for example in json.loads(EXAMPLES.read_text()):
        if "part" in example:
            continue  # a part of another one
        subject, message = example["subject"], example["message"]
        lines += ["", f"`{subject}` ([{message}](#{re.sub(r'[^a-z_-]', '', subject)}))", ""]
        lines += ["| field | in the specification | sent | needed | unit, range, meaning |", "|---|---|---|---|---|"]
        for path, value, struct, field in _leaves(structs, message, example["body"]):
            if field is None:
                sent, needed, meaning = "never", "no", ABSENT[struct, path.split(".")[-1]]
            else:
                sent = "always" if field.always_sent() else "when known"
                needed = "yes" if field.kind == "Required" else "no"
                _, kind, _, meaning = rows[struct][field.name]
                if field.kind == "Nullable":
                    sent = "always, or null"
                meaning = "; ".join(part for part in (kind, meaning) if part)
            text = json.dumps(value, ensure_ascii=False).replace("|", "\\|")
            lines.append(f"| `{path}` | `{text}` | {sent} | {needed} | {meaning} |")
    return "\n".join(lines) + "\n\n"


def updated(page):
    """The page with that section as it should be."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + section(page) + END + after
