// The wire between a program and a server, which can be cut: what is under way then is lost, nobody is told, and connections stay
// open until somebody gives them up. In the server's place the program is told `port` of 127.0.0.1; `leadsTo` says where it ends.
import net from "node:net";

export class Wire {
  static async open() {
    const wire = new Wire();
    wire.whole = true;
    wire.sockets = new Set();
    wire.server = net.createServer((near) => {
      if (!wire.whole) {
        // Nobody is there: whoever calls waits.
        wire.sockets.add(near);
        near.on("error", () => {}).on("close", () => wire.sockets.delete(near));
        return;
      }
      const far = net.connect(wire.far);
      for (const [from, to] of [[near, far], [far, near]]) {
        wire.sockets.add(from);
        from.on("data", (data) => wire.whole && !from.cut && to.write(data));
        from.on("error", () => {});
        from.on("close", () => {
          wire.sockets.delete(from);
          // The other end hears of it only where there is a wire.
          if (wire.whole && !from.cut) to.destroy();
        });
      }
    });
    await new Promise((resolve) => wire.server.listen(0, "127.0.0.1", resolve));
    wire.port = wire.server.address().port;
    return wire;
  }
  leadsTo(host, port) {
    this.far = { host, port };
  }
  cut() {
    this.whole = false;
    // A connection that has lost bytes never carries any again.
    for (const socket of this.sockets) socket.cut = true;
  }
  heal() {
    this.whole = true;
  }
  close() {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}
