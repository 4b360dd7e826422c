"""One request over the NATS protocol, for scripts that need no more of it than that."""

import base64
import json
import socket
import ssl
import time
import urllib.parse

from contract import keys

SECONDS = 10


class BusError(Exception):
    """Nobody answers, or the server refuses; the text is for people."""


def request(url, login, subject, body, seconds=SECONDS):
    """The answer to `body`, both as JSON. `login`: nats_user, and nats_password or nats_nkey_seed, inbox_prefix, nats_ca_file, as
    in the fleet's files of logins."""
    address = urllib.parse.urlsplit(url)
    deadline = time.monotonic() + seconds
    try:
        connection = socket.create_connection((address.hostname, address.port), timeout=seconds)
    except OSError as error:
        raise BusError(f"{url}: {error}") from None
    try:
        # A byte at a time up to here, so that nothing of what TLS begins with is read.
        line = b""
        while not line.endswith(b"\n"):
            byte = connection.recv(1)
            if not byte:
                raise BusError(f"{url} closed the connection")
            line += byte
        info = json.loads(line.removeprefix(b"INFO "))
        if address.scheme == "tls":
            connection = ssl.create_default_context(cafile=login["nats_ca_file"]).wrap_socket(connection, server_hostname=address.hostname)
        options = {"verbose": False, "headers": True, "no_responders": True}
        if "nats_nkey_seed" in login:
            signature = keys.sign(login["nats_nkey_seed"], info["nonce"].encode())
            options |= {"nkey": keys.public_key(login["nats_nkey_seed"]), "sig": base64.urlsafe_b64encode(signature).decode().rstrip("=")}
        else:
            options |= {"user": login["nats_user"], "pass": login["nats_password"]}
        data = json.dumps(body).encode()
        inbox = f"{login.get('inbox_prefix', '_INBOX')}.request"
        connection.sendall(
            b"CONNECT " + json.dumps(options).encode() + f"\r\nSUB {inbox} 1\r\nPUB {subject} {inbox} {len(data)}\r\n".encode() + data + b"\r\n"
        )
        with connection.makefile("rb") as stream:
            for line in stream:
                words = line.split()
                # The server's pings come sooner than the time of one read is over.
                if time.monotonic() > deadline:
                    raise TimeoutError
                if words[0] == b"PING":
                    connection.sendall(b"PONG\r\n")
                elif words[0] == b"-ERR":
                    raise BusError(line.decode().strip())
                elif words[0] == b"MSG":
                    return json.loads(stream.read(int(words[-1])))
                elif words[0] == b"HMSG":
                    text = stream.read(int(words[-1]))
                    if text.startswith(b"NATS/1.0 503"):
                        raise BusError(f"nobody answers on {subject}")
                    return json.loads(text[int(words[-2]):])
    except TimeoutError:
        raise BusError(f"no answer on {subject} within {seconds} s") from None
    finally:
        connection.close()
    raise BusError(f"{url} closed the connection before {subject} was answered")
