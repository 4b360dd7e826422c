"""Rights on the bus: deploy/nats/rights.toml as nats-server's accounts, users and permissions, and their credentials.

The main account ARC has the streams, the agents, the staff and the operator. Each kiosk's screen has an account of its
own, which reaches what it imports from the main account and nothing else; its imports put the kiosk's id into the
subjects, so that a screen cannot speak for another kiosk. So has the archive. docs/rights.md has the reasons.
"""

import contextlib
import dataclasses
import json
import os
import re
import secrets
import stat
import tomllib
import warnings
from pathlib import Path

from contract import keys

TABLE = Path(__file__).resolve().parents[2] / "deploy" / "nats" / "rights.toml"
MAIN_ACCOUNT = "ARC"
KIOSK_ACCOUNT = "KIOSK_"  # and the kiosk's id
ARCHIVE_ACCOUNT = "ARCHIVE"
DEFAULT_KIOSK = "kiosk-001"
CHAIN_ACCOUNT = "CHAIN"  # at the chain's servers
UPLINK_ACCOUNT = "UPLINK"  # at a restaurant's
CHAIN_USER = "chain"  # who looks after the copies
INBOX = "_INBOX"


class RightsError(Exception):
    """The table or the call is wrong; the text is for people."""


@dataclasses.dataclass(frozen=True)
class Rights:
    """What one user may do. Subjects may have wildcards; a subscription may name its queue group behind a space."""

    user: str
    role: str
    kiosk: str | None  # of a user that belongs to one kiosk
    publish: tuple
    subscribe: tuple
    deny_publish: tuple = ()
    deny_subscribe: tuple = ()

    @property
    def inbox(self):
        # In its own account a screen has nobody to hide its replies from, and a page may use its client's default.
        return INBOX if self.role == "screen" else f"{INBOX}.{self.user}"


@dataclasses.dataclass(frozen=True)
class Guest:
    """A user in an account of its own: `passed_on` and `heard` are (its own subject, that of the main account)."""

    rights: Rights
    account: str
    passed_on: tuple
    heard: tuple


def check_kiosk(name, what="kiosk"):
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise RightsError(f"'{name}' is no {what}'s id: 1 to 64 letters, digits, - and _")


def leaf_user(restaurant):
    """The user that a restaurant's server is at the chain's."""
    return f"leaf_{restaurant}"


class Table:
    """rights.toml for these kiosks. `scoped`: the kiosks have subjects of their own. `restaurants`: those under this
    chain; `restaurant`: which one this is, of a chain's."""

    def __init__(self, kiosks=(DEFAULT_KIOSK,), scoped=False, path=TABLE, restaurants=(), restaurant=None):
        self.kiosks = tuple(dict.fromkeys(kiosks))
        self.scoped = scoped
        self.restaurants = tuple(dict.fromkeys(restaurants))
        self.restaurant = restaurant
        for kiosk in self.kiosks:
            check_kiosk(kiosk)
        for name in (*self.restaurants, *([restaurant] if restaurant else [])):
            check_kiosk(name, "restaurant")
        if len(self.kiosks) > 1 and not scoped:
            raise RightsError("several kiosks on one bus need subjects of their own (--scoped): by the bare ones a screen could speak for another")
        with open(path, "rb") as file:
            self.data = tomllib.load(file)
        self.users = {}
        for role in self.data["roles"]:
            for kiosk in self.kiosks if self.data["roles"][role].get("per_kiosk") else (None,):
                rights = self._rights(role, kiosk)
                self.users[rights.user] = rights
        self.users = {name: self._without_others_inboxes(rights) for name, rights in self.users.items()}
        self.screens = {kiosk: self._screen(kiosk) for kiosk in self.kiosks}
        self.archive = self._archive()
        self.guests = (*self.screens.values(), self.archive)

    def user_of(self, role, kiosk):
        """The user that a process of `role` at this kiosk connects as."""
        if role not in self.data["roles"]:
            raise RightsError(f"deploy/nats/rights.toml gives no rights to '{role}'")
        per_kiosk = self.data["roles"][role].get("per_kiosk")
        return f"{role}_{kiosk}" if per_kiosk and self.scoped else role

    def _fill(self, subject, role, kiosk):
        scoped = self.scoped and kiosk is not None
        filled = (
            subject.replace("{role}", role)
            .replace("{user}", self.user_of(role, kiosk))
            .replace("{.kiosk}", f".{kiosk}" if scoped else "")
            .replace("{-kiosk}", f"-{kiosk}" if scoped else "")
            .replace("{kiosk}", kiosk or "")
        )
        both = [filled.replace("{.*}", ""), filled.replace("{.*}", ".*")] if "{.*}" in filled else [filled]
        for one in both:
            if re.search(r"[{}]", one):
                raise RightsError(f"rights.toml: {role}: '{subject}' cannot be filled in: {one}")
        return both

    def _rights(self, role, kiosk):
        entry = self.data["roles"][role]
        given = {"publish": [], "subscribe": []}
        for key, values in entry.items():
            if key in ("publish", "subscribe"):
                given[key] += values
            elif key in self.data["words"]:
                for value in values:
                    parts = value.split(" ")
                    for side in given:
                        for template in self.data["words"][key].get(side, []):
                            given[side].append(re.sub(r"\{(\d)\}", lambda match: parts[int(match.group(1))], template))
            elif key != "per_kiosk":
                raise RightsError(f"rights.toml: {role}: there is no word '{key}'")
        filled = {side: tuple(dict.fromkeys(one for subject in subjects for one in self._fill(subject, role, kiosk))) for side, subjects in given.items()}
        # The server takes a subscription to `a.>` where `a.*` is allowed: nothing deeper arrives then.
        below = dict.fromkeys(f"{subject}.>" for subject in (one.split(" ")[0] for one in filled["subscribe"]) if subject.endswith(".*"))
        return Rights(self.user_of(role, kiosk), role, kiosk, filled["publish"], filled["subscribe"], (), tuple(below))

    def _without_others_inboxes(self, rights):
        """Takes out of _INBOX.> the inboxes of users that this one has nothing to say to."""
        if f"{INBOX}.>" not in rights.publish:
            return rights
        answers_to = self.data["roles"][rights.role].get("answers_to", [])
        unknown = [role for role in answers_to if role not in self.data["roles"]]
        if unknown:
            raise RightsError(f"rights.toml: {rights.role} answers to unknown roles: {', '.join(unknown)}")
        others = [
            f"{other.inbox}.>"
            for other in self.users.values()
            if other.user != rights.user and other.role not in answers_to and other.role != "operator"
        ]
        return dataclasses.replace(rights, deny_publish=(*rights.deny_publish, *others))

    def _screen(self, kiosk):
        entry = self.data["screen"]
        user = f"screen_{kiosk}"
        own = lambda subject: f"{subject}.{kiosk}" if self.scoped else subject
        same = lambda key: [(filled, filled) for subject in entry[key] for filled in [subject.replace("{kiosk}", kiosk)]]
        passed_on = [(subject, own(subject)) for subject in entry["inputs"]]
        passed_on += [(subject, f"{subject}.{kiosk}") for subject in entry["requests"]] + same("publishes_as_is")
        heard = [(subject, own(subject)) for subject in entry["hears"]] + same("hears_as_is")
        subscribe = (*(subject for subject, _ in heard), f"{INBOX}.*.*")
        rights = Rights(user, "screen", kiosk, tuple(subject for subject, _ in passed_on), subscribe, (), (f"{INBOX}.*.*.>",))
        return Guest(rights, KIOSK_ACCOUNT + kiosk, tuple(passed_on), tuple(heard))

    def _archive(self):
        entry = self.data["archive"]
        acknowledges = f"$JS.ACK.KIOSK_EVENTS.{entry['reads_events']}.>"
        heard = (*entry["hears"], entry["sent_to"])
        rights = Rights("archive", "archive", None, (acknowledges,), heard, (), tuple(entry["hears_not"]))
        return Guest(rights, ARCHIVE_ACCOUNT, ((acknowledges, acknowledges),), tuple((subject, subject) for subject in heard))

    def all_users(self):
        return {**self.users, **{guest.rights.user: guest.rights for guest in self.guests}, **self.chain_users()}

    # A chain and its restaurants

    def copies(self, restaurant):
        """The streams that the chain has of a restaurant, as the JetStream API makes them."""
        external = {"api": f"restaurant.{restaurant}.api", "deliver": f"restaurant.{restaurant}.events"}
        return [{"name": f"{stream}_{restaurant}", "mirror": {"name": stream, "external": external}} for stream in self.data["uplink"]["copies"]]

    def _of_copies(self, key):
        return [one.replace("{stream}", stream) for stream in self.data["uplink"]["copies"] for one in self.data["uplink"][key]]

    def chain_users(self):
        """The users of the chain's account; a leaf's are what may pass its up-link."""
        if not self.restaurants:
            return {}
        users = {CHAIN_USER: Rights(CHAIN_USER, CHAIN_USER, None, (">",), (">",))}
        for restaurant in self.restaurants:
            user = leaf_user(restaurant)
            publish = (f"restaurant.{restaurant}.events.>", *self.data["uplink"]["answers"])
            subscribe = (f"restaurant.{restaurant}.api.>", *self._of_copies("flow_control"))
            users[user] = Rights(user, "leaf", None, publish, subscribe)
        return users

    def _uplink(self):
        """What the restaurant's account UPLINK has of the main account: (kind, subject there, subject here)."""
        here = f"restaurant.{self.restaurant}"
        found = [("service", f"$JS.API.{one}", f"{here}.api.{one}") for one in self._of_copies("asked")]
        found += [("service", one, one) for one in self._of_copies("flow_control")]
        return [*found, ("stream", f"{here}.events.>", f"{here}.events.>")]

    # nats-server's configuration

    def accounts(self, proofs):
        """The block `accounts` of nats-server.conf. `proofs`: by user, the public key of its nkey or its password."""
        services = [subject for guest in self.guests for _, subject in guest.passed_on]
        streams = [subject for guest in self.guests for _, subject in guest.heard]
        lines = ["# Made by scripts/contract/rights.py from deploy/nats/rights.toml. It has passwords as hashes.", "accounts {", f"  {MAIN_ACCOUNT} {{", "    jetstream: enabled", "    users: ["]
        for rights in self.users.values():
            lines += _user(rights, proofs[rights.user])
        lines += ["    ]", "    exports: ["]
        for kind, subjects in (("service", services), ("stream", streams)):
            for subject in dict.fromkeys(subjects):
                takers = [guest.account for guest in self.guests if subject in [own for _, own in (*guest.passed_on, *guest.heard)]]
                lines.append(f"      {{{kind}: {json.dumps(subject)}, accounts: {json.dumps(takers)}}}")
        uplink = self._uplink() if self.restaurant else []
        lines += [f"      {{{kind}: {json.dumps(there)}, accounts: [{UPLINK_ACCOUNT}]}}" for kind, there, _ in uplink]
        lines += ["    ]", "  }"]
        if uplink:
            lines += [f"  {UPLINK_ACCOUNT} {{", "    imports: ["]
            for kind, there, here in uplink:
                to = f", to: {json.dumps(here)}" if here != there else ""
                lines.append(f"      {{{kind}: {{account: {MAIN_ACCOUNT}, subject: {json.dumps(there)}}}{to}}}")
            lines += ["    ]", "  }"]
        if self.restaurants:
            lines += [f"  {CHAIN_ACCOUNT} {{", "    jetstream: enabled", "    users: ["]
            for rights in self.chain_users().values():
                lines += _user(rights, proofs[rights.user])
            lines += ["    ]", "  }"]
        for guest in self.guests:
            lines += [f"  {json.dumps(guest.account)} {{", "    users: ["]
            lines += _user(guest.rights, proofs[guest.rights.user])
            lines += ["    ]", "    imports: ["]
            for kind, pairs in (("service", guest.passed_on), ("stream", guest.heard)):
                for here, there in pairs:
                    to = f", to: {json.dumps(here)}" if here != there else ""
                    lines.append(f"      {{{kind}: {{account: {MAIN_ACCOUNT}, subject: {json.dumps(there)}}}{to}}}")
            lines += ["    ]", "  }"]
        return "\n".join([*lines, "}"]) + "\n"


@dataclasses.dataclass(frozen=True)
class Proof:
    """What a user shows that it is that user: a password, or an nkey in its place."""

    password: str = ""
    seed: str = ""

    def configured(self, user):
        """As nats-server's configuration has it."""
        if self.seed:
            return f"nkey: {keys.public_key(self.seed)}"
        return f"user: {json.dumps(user)}, password: {json.dumps(hashed(self.password))}"

    @property
    def login(self):
        """As the login of a page or a person has it."""
        return {"nats_nkey_seed": self.seed} if self.seed else {"nats_password": self.password}


def _user(rights, proof):
    def side(name, allow, deny):
        text = f"          {name}: {{allow: {json.dumps(list(allow))}"
        return text + (f", deny: {json.dumps(list(deny))}" if deny else "") + "}"

    if (rights.publish, rights.subscribe) == ((">",), (">",)):
        return [f"      {{{proof.configured(rights.user)}}}"]
    # Without a list all would be allowed.
    return [
        f"      {{{proof.configured(rights.user)}, permissions: {{",
        side("publish", rights.publish, rights.deny_publish) if rights.publish else '          publish: {deny: ">"}',
        side("subscribe", rights.subscribe, rights.deny_subscribe),
        "      }}",
    ]


def hashed(password):
    """For nats-server.conf. Cheap rounds: these passwords are 32 random bytes, and every connection costs one check."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import crypt
    salt = "".join(secrets.choice("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") for _ in range(21))
    return crypt.crypt(password, f"$2a$04${salt}u")


# Credentials


def write_secret(path, text):
    """Replaces `path` in one step by a file that only its owner reads."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    os.replace(temporary, path)


def login_file(url):
    """Where arcctl finds the operator's login of a fleet on this machine (services/arcctl/login.h)."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime) / "arc-kiosk" if runtime else Path(f"/tmp/arc-kiosk-{os.geteuid()}")
    return folder / re.sub(r"^\w+://", "", url)


def publish_login(url, login):
    """Leaves the login there. Gives the reason when the folder is not this user's alone."""
    path = login_file(url)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        status = path.parent.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            return f"{path.parent} is not a folder of this user alone"
        write_secret(path, json.dumps(login) + "\n")
    except OSError as error:
        return str(error)
    return None


def withdraw_login(url):
    with contextlib.suppress(OSError):
        login_file(url).unlink()


def password_file(folder, user):
    return Path(folder) / f"{user}.password"


def nkey_file(folder, user):
    return Path(folder) / f"{user}.nkey"


def kept(path, make):
    """The secret in the file; a new one, kept there, where there is none."""
    secret = path.read_text().strip() if path.exists() else ""
    if not secret:
        secret = make()
        write_secret(path, secret + "\n")
    return secret


def make_credentials(folder, table, nkeys=False):
    """A password a user under `folder`, or an nkey, where those that are there stay; the logins of people and pages;
    rights.conf for nats-server. Gives the proofs by user."""
    folder = Path(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    proofs = {}
    for user in table.all_users():
        # Measured on nats-server 2.9.10: a leaf node knows passwords and certificates, but no nkeys.
        if nkeys and table.all_users()[user].role != "leaf":
            proofs[user] = Proof(seed=kept(nkey_file(folder, user), keys.new_seed))
        else:
            proofs[user] = Proof(password=kept(password_file(folder, user), lambda: secrets.token_urlsafe(32)))
    logins = {"staff.json": table.users["staff"], "operator.json": table.users["operator"]}
    if table.restaurants:
        logins["chain.json"] = table.chain_users()[CHAIN_USER]
    for kiosk, screen in table.screens.items():
        logins["kiosk.json" if kiosk == table.kiosks[0] else f"kiosk-{kiosk}.json"] = screen.rights
    for name, rights in logins.items():
        login = {"nats_user": rights.user, **proofs[rights.user].login, "inbox_prefix": rights.inbox}
        write_secret(folder / name, json.dumps(login | ({"kiosk_id": rights.kiosk} if rights.kiosk else {}), indent=2) + "\n")
    write_secret(folder / "rights.conf", table.accounts(proofs))
    return proofs
