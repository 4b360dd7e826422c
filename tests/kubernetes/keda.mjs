// What KEDA's nats-jetstream scaler, and the autoscaler behind it, make of a ScaledObject: the lag as the scaler reads it from
// nats-server's monitoring, and the number of copies that follows. For simulations; in a cluster KEDA does it.

export class Scaler {
  constructor({ spec }) {
    const [{ metadata }] = spec.triggers;
    Object.assign(this, metadata, { least: spec.minReplicaCount, most: spec.maxReplicaCount, threshold: Number(metadata.lagThreshold) });
    this.policies = spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies;
  }
  get path() {
    return `/jsz?acc=${this.account}&consumers=true&config=true`;
  }
  // Commands that wait or are in work, as nats-server says; of a cluster's nodes the one that leads the consumer.
  async lag(...nodes) {
    const found = [];
    for (const node of nodes) {
      const [{ account_details: accounts = [] }, { server_name }] = await Promise.all([this.path, "/varz"].map(async (path) => (await fetch(`${node}${path}`)).json()));
      const stream = accounts.find(({ name }) => name === this.account)?.stream_detail?.find(({ name }) => name === this.stream);
      if (!stream) continue;
      const consumer = stream.consumer_detail?.find(({ name }) => name === this.consumer);
      found.push({ stream, consumer, leads: nodes.length === 1 || consumer?.cluster?.leader === server_name });
    }
    const { stream, consumer } = found.find(({ leads }) => leads) ?? {};
    if (!stream) throw new Error(`nats-server has no stream ${this.stream} in the account ${this.account}, or no leader of ${this.consumer}`);
    // Without its consumer the scaler takes all that the stream ever held to wait.
    return consumer ? consumer.num_pending + consumer.num_ack_pending : stream.state.last_seq;
  }
  // Copies that the lag asks for, of `copies` that there are. Within a tenth of the threshold nothing changes.
  desired(lag, copies) {
    const near = copies > 0 && Math.abs(lag / (this.threshold * copies) - 1) <= 0.1;
    const wanted = near ? copies : Math.ceil(lag / this.threshold);
    return Math.min(this.most, Math.max(this.least, wanted));
  }
  // Copies after one period of the policies: so many more at most.
  next(lag, copies) {
    const steps = this.policies.map(({ type, value }) => (type === "Pods" ? copies + value : Math.ceil(copies * (1 + value / 100))));
    return Math.min(this.desired(lag, copies), Math.max(...steps));
  }
}
