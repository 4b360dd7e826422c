"""A network of the nodes of one fleet on this machine: a network namespace a node, all on one bridge, so that a node can be
cut off as by a pulled cable. Needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN) and iproute2.

The network is named after the fleet's folder. Its addresses are of 198.18.0.0/15, which is for tests of networks (RFC 2544).
"""

import hashlib
import json
import shutil
import subprocess

FIRST_NODE = 11  # the last byte of the first node's address; the bridge has 1
# How often a node's machine sends again what is not confirmed before it gives a connection up: for 6 s in all, where the kernel's own 15
# times are a quarter of an hour. nats-server pings no route that it sends messages on, and so would not notice a node that is cut off.
RETRANSMISSIONS = 4


class NetworkError(Exception):
    """The network cannot be made or changed; the text is for people."""


def ip(*words):
    tool = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if not tool:
        raise NetworkError("there is no `ip` here (package iproute2)")
    done = subprocess.run([tool, *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise NetworkError(f"`ip {' '.join(map(str, words))}`: {done.stderr.strip()}")
    return done.stdout


class Network:
    def __init__(self, folder):
        self.tag = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
        # The bridge has a namespace, too: in the machine's own a firewall, such as Docker's, may drop what is between nodes.
        self.switch = f"arc-{self.tag}-switch"
        self.uplink = f"arc{self.tag}"  # the machine's own end

    def namespace(self, number):
        return f"arc-{self.tag}-{number}"

    def make(self, nodes):
        """Makes the network anew for so many nodes; gives their addresses."""
        self.remove()
        try:
            return self._make(nodes)
        except NetworkError:
            self.remove()
            raise

    def _make(self, nodes):
        used = {address["local"].rsplit(".", 1)[0] for link in json.loads(ip("-j", "-4", "address")) for address in link["addr_info"]}
        first = int(self.tag[:4], 16) % 512
        networks = (f"198.{18 + number // 256}.{number % 256}" for number in [*range(first, 512), *range(first)])
        network = next(network for network in networks if network not in used)
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.switch, "link", "set", "bridge", "up")
        ip("link", "add", self.uplink, "type", "veth", "peer", "name", "machine", "netns", self.switch)
        ip("address", "add", f"{network}.1/24", "dev", self.uplink)
        ip("link", "set", self.uplink, "up")
        ip("-n", self.switch, "link", "set", "machine", "master", "bridge", "up")
        addresses = []
        for number in range(1, nodes + 1):
            namespace = self.namespace(number)
            ip("netns", "add", namespace)
            ip("-n", self.switch, "link", "add", f"node{number}", "type", "veth", "peer", "name", "eth0", "netns", namespace)
            address = f"{network}.{FIRST_NODE + number - 1}"
            ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                ip("-n", namespace, "link", "set", link, "up")
            ip("netns", "exec", namespace, "sh", "-c", f"echo {RETRANSMISSIONS} > /proc/sys/net/ipv4/tcp_retries2")
            ip("-n", self.switch, "link", "set", f"node{number}", "master", "bridge", "up")
            addresses.append(address)
        return addresses

    def cut(self, number):
        """The node's cable is pulled: what was under way is lost, and nobody is told."""
        ip("-n", self.switch, "link", "set", f"node{number}", "nomaster")

    def heal(self, number):
        ip("-n", self.switch, "link", "set", f"node{number}", "master", "bridge")

    def remove(self):
        """Takes away what there is of it. The links go with their namespaces."""
        try:
            namespaces = {entry["name"] for entry in json.loads(ip("-j", "netns", "list") or "[]")}
        except NetworkError:
            return
        for namespace in namespaces:
            if namespace.startswith(f"arc-{self.tag}-"):
                ip("netns", "delete", namespace)
