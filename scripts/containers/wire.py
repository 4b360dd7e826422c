"""NATS as any client speaks it, over TCP or a WebSocket: enough of the protocol for a customer and an operator."""

import base64
import contextlib
import hashlib
import io
import json
import os
import queue
import socket
import struct
import threading
import urllib.parse
import uuid

from containers.common import ANSWER_SECONDS, CheckError, check

WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class WebSocket(io.RawIOBase):
    """The bytes that a WebSocket's messages carry, as a stream (RFC 6455, client side)."""

    def __init__(self, url):
        super().__init__()
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=5)
        self.frames = self.socket.makefile("rb")
        self.rest = b""
        self.lock = threading.Lock()
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nOrigin: http://{parts.hostname}\r\n\r\n".encode()
        )
        status = self.frames.readline()
        if not status:
            self.socket.close()
            raise ConnectionError(f"{url} takes connections and closes them")
        fields = {}
        while (line := self.frames.readline().strip()):
            name, _, value = line.decode().partition(":")
            fields[name.lower()] = value.strip()
        check(b" 101 " in status, f"{url} is no WebSocket: {status!r}")
        accepted = base64.b64encode(hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest()).decode()
        check(fields.get("sec-websocket-accept") == accepted, f"{url} does not answer the WebSocket's key")
        self.socket.settimeout(None)

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self.rest:
            head = self.frames.read(2)
            if len(head) < 2:
                return 0
            kind, size = head[0] & 0x0F, head[1] & 0x7F
            if size == 126:
                size = struct.unpack(">H", self.frames.read(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self.frames.read(8))[0]
            body = self.frames.read(size)
            if kind == CLOSE:
                return 0
            if kind == PING:
                self.send(PONG, body)
            elif kind in (CONTINUATION, TEXT, BINARY):
                self.rest = body
        taken = self.rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self.rest = self.rest[len(taken) :]
        return len(taken)

    def send(self, kind, data):
        size = len(data)
        if size < 126:
            head = struct.pack(">BB", 0x80 | kind, 0x80 | size)
        elif size < 65536:
            head = struct.pack(">BBH", 0x80 | kind, 0x80 | 126, size)
        else:
            head = struct.pack(">BBQ", 0x80 | kind, 0x80 | 127, size)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        with self.lock:
            self.socket.sendall(head + mask + masked)

    def sendall(self, data):
        self.send(BINARY, data)

    def shutdown(self, how):
        self.socket.shutdown(how)

    def close(self):
        self.socket.close()
        super().close()


class Message:
    def __init__(self, subject, reply, headers, body):
        self.subject = subject
        self.reply = reply  # empty: none
        self.headers = headers
        self.body = body

    @property
    def payload(self):
        return json.loads(self.body)["payload"]


def headers_of(block):
    lines = block.decode().split("\r\n")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}


class Nats:
    """One connection. `url` is nats://HOST:PORT or ws://HOST:PORT, `login` what scripts/rights writes for a person or a page."""

    def __init__(self, url, login):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "ws":
            self.connection = WebSocket(url)
            self.stream = io.BufferedReader(self.connection)
        else:
            self.connection = socket.create_connection((parts.hostname, parts.port), timeout=5)
            self.connection.settimeout(None)
            self.stream = self.connection.makefile("rb")
        greeting = self.stream.readline()
        if not greeting:
            # The engine's proxy listens before nats-server does.
            self.connection.close()
            raise ConnectionError(f"{url} takes connections and closes them")
        check(greeting.startswith(b"INFO "), f"what listens at {url} is no nats-server")
        self.lock = threading.Lock()
        self.queues = {}
        self.ids = 0
        self.refused = ""
        self.inboxes = f"{login.get('inbox_prefix', '_INBOX')}.{uuid.uuid4().hex}"
        options = {"verbose": False, "headers": True, "no_responders": True, "name": "compose_check", "user": login["nats_user"], "pass": login["nats_password"]}
        self.write(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        self.pongs = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.flush()

    def write(self, data):
        with self.lock:
            self.connection.sendall(data)

    def read(self):
        with contextlib.suppress(OSError, ValueError):
            while line := self.stream.readline():
                words = line.decode().split()
                if words[:1] == ["PING"]:
                    self.write(b"PONG\r\n")
                elif words[:1] == ["PONG"]:
                    self.pongs.put(True)
                elif words[:1] == ["-ERR"]:
                    self.refused = line.decode().strip()
                elif words and words[0] in ("MSG", "HMSG"):
                    data = self.stream.read(int(words[-1]) + 2)[:-2]
                    head = int(words[-2]) if words[0] == "HMSG" else 0
                    reply = words[3] if len(words) == (6 if words[0] == "HMSG" else 5) else ""
                    self.queues[words[2]].put(Message(words[1], reply, headers_of(data[:head]) if head else {}, data[head:]))

    def flush(self):
        self.write(b"PING\r\n")
        self.take(self.pongs, "an answer to PING")

    def take(self, source, what, seconds=ANSWER_SECONDS):
        try:
            return source.get(timeout=seconds)
        except queue.Empty:
            raise CheckError(f"waited {seconds:.0f} s in vain for {what}{f'; the server said {self.refused}' if self.refused else ''}") from None

    def subscribe(self, subject):
        self.ids += 1
        received = self.queues[str(self.ids)] = queue.Queue()
        self.write(f"SUB {subject} {self.ids}\r\n".encode())
        return received

    def unsubscribe(self, received):
        number = next(key for key, value in self.queues.items() if value is received)
        self.write(f"UNSUB {number}\r\n".encode())

    def publish(self, subject, body, reply="", headers=None):
        data = body if isinstance(body, bytes) else body.encode()
        if not headers:
            self.write(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")
            return
        head = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        sizes = f"{len(head)} {len(head) + len(data)}"
        self.write(f"HPUB {subject} {reply} {sizes}\r\n{head}".encode() + data + b"\r\n")

    def inbox(self):
        self.ids += 1
        subject = f"{self.inboxes}.{self.ids}"
        return subject, self.subscribe(subject)

    def request(self, subject, body, durable=False, seconds=ANSWER_SECONDS):
        """One answer: over the plain path, or over the command stream as the fleet's own requests go."""
        reply, answers = self.inbox()
        self.publish(subject, body, reply, {"Kiosk-Reply-To": reply} if durable else None)
        try:
            answer = self.take(answers, f"the answer to {subject}", seconds)
        finally:
            self.unsubscribe(answers)
        check(answer.body, f"nobody answers {subject}")
        return answer

    def event(self, subject, trace_id=None, **payload):
        """Publishes an event, of that trace where one is named, and returns once its stream has stored it."""
        message = {"payload": payload, **({"trace_id": trace_id} if trace_id else {})}
        stored = json.loads(self.request(subject, json.dumps(message)).body)
        check("seq" in stored, f"{subject} was not stored: {stored}")

    def close(self):
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
