"""What the parts of scripts/compose_check share: failures that a user can read, commands, waiting on conditions."""

import socket
import subprocess
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
ANSWER_SECONDS = 10.0
POLL_SECONDS = 0.05


class CheckError(Exception):
    """A failure that the user can read; main() prints it and exits with 1."""


def say(text):
    print(text, flush=True)


def check(condition, what):
    if not condition:
        raise CheckError(what)


def run(*command, env=None, **options):
    """The finished process; CheckError with its last words when it failed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=REPO, env=env, **{"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})
    if done.returncode != 0:
        output = "".join(part if isinstance(part, str) else part.decode(errors="replace") for part in (done.stdout, done.stderr) if part)
        tail = "\n".join(output.splitlines()[-30:])
        raise CheckError(f"{' '.join(words)} ended with {done.returncode}\n{tail}")
    return done


def eventually(what, attempt, seconds=ANSWER_SECONDS):
    """Calls `attempt` until it returns something true, and returns that; an OSError counts as "not yet"."""
    deadline = time.monotonic() + seconds
    while True:
        reason = ""
        try:
            value = attempt()
            if value:
                return value
        except OSError as error:
            reason = f": {error}"
        if time.monotonic() > deadline:
            raise CheckError(f"waited {seconds:.0f} s in vain for {what}{reason}")
        time.sleep(POLL_SECONDS)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
