"""Keys and certificates of the bus, made by openssl: an nkey (Ed25519) a user, a certificate authority of the fleet's
own, a certificate a server.

An nkey is text, as every NATS tool reads it: the seed (SU...) is the secret, the public key (U...) stands in
nats-server's configuration.
"""

import base64
import binascii
import contextlib
import os
import re
import secrets
import subprocess
import tempfile
from pathlib import Path

AUTHORITY = "ca.pem"
# Who is of this one is a restaurant and no node: a node is believed whatever it says of any account.
RESTAURANTS_AUTHORITY = "restaurants-ca.pem"
DAYS = 3650
# An authority that outlives what it signs.
AUTHORITY_DAYS = 2 * DAYS

# Bits of the first letters: S, U.
SEED = 18 << 3
USER = 20 << 3

# DER around an Ed25519 key: of PKCS #8 before the private one, of SubjectPublicKeyInfo before the public one (RFC 8410).
PRIVATE = bytes.fromhex("302e020100300506032b657004220420")
PUBLIC = bytes.fromhex("302a300506032b6570032100")


class KeyFailure(Exception):
    """openssl failed or a key is malformed; the text is for people."""


def openssl(*words, stdin=None):
    try:
        done = subprocess.run(["openssl", *map(str, words)], input=stdin, capture_output=True)
    except FileNotFoundError:
        raise KeyFailure("there is no openssl here; scripts/setup installs it") from None
    if done.returncode != 0:
        raise KeyFailure(f"openssl {words[0]} failed:\n{done.stderr.decode(errors='replace')}".rstrip())
    return done.stdout


def _encoded(raw):
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def new_seed():
    """A user's seed: 58 letters and digits that begin with SU."""
    return _encoded(bytes([SEED | USER >> 5, (USER & 31) << 3]) + secrets.token_bytes(32))


def public_key(seed):
    """The public key of a user's seed: 56 letters and digits that begin with U."""
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except binascii.Error:
        raise KeyFailure("this is no nkey's seed") from None
    if len(raw) != 36 or _encoded(raw[:-2]) != seed or not seed.startswith("SU"):
        raise KeyFailure("this is no seed of a user's nkey")
    der = openssl("pkey", "-inform", "DER", "-pubout", "-outform", "DER", stdin=PRIVATE + raw[2:34])
    if not der.startswith(PUBLIC):
        raise KeyFailure("openssl gives no Ed25519 key")
    return _encoded(bytes([USER]) + der[len(PUBLIC):])


def sign(seed, data):
    """The Ed25519 signature of bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        key, text = Path(scratch) / "key", Path(scratch) / "text"
        key.write_bytes(PRIVATE + base64.b32decode(seed + "=" * (-len(seed) % 8))[2:34])
        text.write_bytes(data)
        return openssl("pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", key, "-in", text)


def _private_key(path):
    with _secret(path) as temporary:
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", temporary)


@contextlib.contextmanager
def _secret(path):
    """A file to write that becomes `path` in one step, and that only its owner reads."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _authority_key(folder, authority):
    return (folder / authority).with_suffix(".key")


def make_authority(folder, authority=AUTHORITY, subject="fleet authority"):
    """An authority's certificate, and its key beside it, where they are not there yet."""
    certificate, key = folder / authority, _authority_key(folder, authority)
    if certificate.exists() and key.exists():
        return
    _private_key(key)
    with _secret(certificate) as temporary:
        openssl(
            "req", "-x509", "-new", "-key", key, "-days", AUTHORITY_DAYS, "-subj", f"/O=ARC Kiosk/CN={subject}", "-out", temporary,
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )


def make_certificate(folder, name, hosts, authority=AUTHORITY):
    """NAME.pem and NAME.key for these host names and addresses, signed by an authority of the folder; they stay where they are
    of the same hosts and authority. For listening, and for one server to show to another."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    names = ",".join(f"IP:{host}" if re.fullmatch(r"[\d.]+|.*:.*", host) else f"DNS:{host}" for host in hosts)
    signed_for = f"hosts: {names}\nauthority: {authority}\n"
    if certificate.exists() and key.exists() and signed_for in certificate.read_text():
        return
    _private_key(key)
    request = openssl("req", "-new", "-key", key, "-subj", f"/O=ARC Kiosk/CN={name}")
    with _secret(certificate) as temporary, tempfile.NamedTemporaryFile("w", suffix=".cnf") as extensions:
        extensions.write(
            f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n"
        )
        extensions.flush()
        signed = openssl(
            "x509", "-req", "-CA", folder / authority, "-CAkey", _authority_key(folder, authority), "-set_serial", f"0x{secrets.token_hex(16)}",
            "-days", DAYS, "-extfile", extensions.name, stdin=request,
        )
        Path(temporary).write_bytes(signed_for.encode() + signed)
