"""A Docker engine: the one that is there, or one that is started under a folder and leaves nothing behind."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from containers.common import CheckError, check, eventually, run, say

BASE_IMAGE = "debian:bookworm-slim"
UNWANTED = ("/usr/share/doc", "/usr/share/man", "/usr/share/info", "/usr/share/locale")


def default_route_mtu():
    """Of the interface that leads out; containers that send longer packets reach nobody behind it."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        name, destination = line.split()[:2]
        if destination == "00000000":
            return int(Path(f"/sys/class/net/{name}/mtu").read_text())
    return 1500


class Firewall:
    """What an engine changes on a machine beyond its own folder, and as it was before."""

    FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
    KEY = Path("/etc/docker/key.json")
    EMPTY = (
        "*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT\n"
        "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n"
    )

    def __init__(self):
        self.rules = run("iptables-save").stdout
        self.forward = self.FORWARD.read_text()
        self.key = self.KEY.exists()
        self.bridge = Path("/sys/class/net/docker0").exists()

    def restore(self):
        if not self.bridge and Path("/sys/class/net/docker0").exists():
            run("ip", "link", "delete", "docker0")
        run("iptables-restore", input=self.EMPTY + self.rules)
        self.FORWARD.write_text(self.forward)
        if not self.key:
            self.KEY.unlink(missing_ok=True)


class Engine:
    """The Docker engine that is there, or one of this script's own under `folder`."""

    def __init__(self, folder, keep):
        self.folder = folder
        self.keep = keep
        self.process = None
        self.env = dict(os.environ)
        self.env.update(DOCKER_BUILDKIT="1", COMPOSE_DOCKER_CLI_BUILD="1", COMPOSE_PROJECT_NAME=f"arc-check-{os.getpid()}")
        self.cli = self.find_cli()
        self.env["PATH"] = f"{Path(self.cli).parent}:{self.env['PATH']}"

    @staticmethod
    def find_cli():
        """A client that builds with BuildKit: one with buildx, or one before 23, which has it built in."""
        candidates = [shutil.which("docker"), "/usr/bin/docker"]
        for path in dict.fromkeys(filter(None, candidates)):
            if not os.access(path, os.X_OK):
                continue
            if subprocess.run([path, "buildx", "version"], capture_output=True).returncode == 0:
                return path
            version = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            match = re.search(r"version (\d+)\.", version)
            if match and int(match.group(1)) < 23:
                return path
        raise CheckError("no docker client with BuildKit is here; Debian's: apt-get install docker.io docker-compose")

    def docker(self, *words, **options):
        return run(self.cli, *words, env=self.env, **options)

    def answers(self):
        done = subprocess.run([self.cli, "info"], env=self.env, capture_output=True, text=True)
        return done.returncode == 0 and "Server Version" in done.stdout

    def start(self):
        if self.answers():
            say("engine: the one that is running")
            return
        for program in ("dockerd", "iptables-save", "ip"):
            check(shutil.which(program), f"no engine answers, and {program} is not here to start one: apt-get install docker.io iptables iproute2")
        check(os.geteuid() == 0, "no engine answers; only root can start one")
        begin = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        # dockerd does not pass it on: it is free when this script has ended, however it did.
        self.lock = open(self.folder / "lock", "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckError(f"another run has its engine in {self.folder}; wait for its end, or name another folder") from None
        self.firewall = Firewall()
        address = f"unix://{self.folder}/docker.sock"
        self.env["DOCKER_HOST"] = address
        command = ["dockerd", "--host", address, "--data-root", self.folder / "data", "--exec-root", self.folder / "exec",
                   "--pidfile", self.folder / "dockerd.pid", "--mtu", default_route_mtu()]
        with open(self.folder / "dockerd.log", "w") as log:
            self.process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, start_new_session=True)

        def ready():
            check(self.process.poll() is None, f"dockerd ended:\n{self.log_tail()}")
            return self.answers()

        eventually("dockerd", ready, 60)
        driver = self.docker("info", "--format", "{{.ServerVersion}}, {{.Driver}}").stdout.strip()
        say(f"engine: started one ({driver}) in {time.monotonic() - begin:.1f} s")

    def log_tail(self):
        return "\n".join((self.folder / "dockerd.log").read_text().splitlines()[-10:])

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            mount = line.split()[1]
            if mount.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", mount], check=False)
        self.firewall.restore()
        if not self.keep:
            shutil.rmtree(self.folder)

    def has_image(self, name):
        return subprocess.run([self.cli, "image", "inspect", name], env=self.env, capture_output=True).returncode == 0

    def pull(self, name):
        done = subprocess.run([self.cli, "pull", "--quiet", name], env=self.env, capture_output=True, timeout=600)
        return done.returncode == 0

    def base_image(self):
        if self.has_image(BASE_IMAGE):
            say(f"base image: {BASE_IMAGE} is there")
            return
        if self.pull(BASE_IMAGE):
            say(f"base image: pulled {BASE_IMAGE}")
            return
        check(self.process, f"{BASE_IMAGE} cannot be pulled, and an engine that others use gets none from here")
        check(shutil.which("debootstrap"), "no registry answers, and debootstrap is not here: apt-get install debootstrap")
        begin = time.monotonic()
        root = self.folder / "base"
        # From debootstrap's own default mirror; then with the sources of this machine, which has security updates too.
        run("debootstrap", "--variant=minbase", "bookworm", root)
        for name in ("sources.list.d/debian.sources", "sources.list"):
            if os.path.exists(f"/etc/apt/{name}"):
                shutil.copy(f"/etc/apt/{name}", root / "etc/apt" / name)
                break
        # Who signs for this machine's own way out, such as a proxy, signs for the packages in images too.
        shutil.copytree("/usr/local/share/ca-certificates", root / "usr/local/share/ca-certificates", dirs_exist_ok=True)
        # What the registry's slim image leaves out, of later packages too.
        for waste in (*UNWANTED, "/var/cache/apt", "/var/lib/apt/lists"):
            shutil.rmtree(f"{root}{waste}", ignore_errors=True)
        # As there, packages are not synced to the disk file by file.
        (root / "etc/dpkg/dpkg.cfg.d/slim").write_text("force-unsafe-io\n" + "".join(f"path-exclude={waste}/*\n" for waste in UNWANTED))
        with subprocess.Popen(["tar", "--directory", str(root), "--create", "."], stdout=subprocess.PIPE) as tar:
            self.docker("import", "--change", 'CMD ["bash"]', "-", BASE_IMAGE, stdin=tar.stdout)
        shutil.rmtree(root)
        say(f"base image: no registry answers; made {BASE_IMAGE} with debootstrap in {time.monotonic() - begin:.0f} s")
