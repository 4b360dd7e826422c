// The customer's voice to the fleet, and the fleet's voice to the customer.
import { signal } from "@preact/signals";
import { decode } from "../lib/message";
import { type Kiosk } from "./kiosk";

export type VoiceState = "idle" | "listening" | "thinking" | "speaking";
export type Microphone = "off" | "starting" | "on" | "none" | "denied";

const RATE = 16_000;
// Sound that comes in bursts begins this much later, so that it does not stutter.
const LEAD_SECONDS = 0.06;
// Captions stay this long after the last word.
const CAPTION_MS = 12_000;
const STATES: readonly unknown[] = ["idle", "listening", "thinking", "speaking"];

export class Voice {
  readonly state = signal<VoiceState>("idle");
  readonly microphone = signal<Microphone>("off");
  readonly heard = signal<{ text: string; final: boolean }>({ text: "", final: true });
  readonly said = signal("");
  readonly muted = signal(false);
  // How loud the microphone is, 0 to 1.
  readonly level = signal(0);
  // Whether the kiosk's voice sounds now, and how often it was interrupted.
  readonly sounding = signal(false);
  readonly hushes = signal(0);

  readonly #kiosk: Kiosk;
  readonly #room: string;
  #output: AudioContext | undefined;
  #gain: GainNode | undefined;
  #playing = new Set<AudioBufferSourceNode>();
  #playUntil = 0;
  #turn = 0;
  #request = "";
  // What was being said when a session ended: the rest of it is not for the next customer.
  #unheard = "";
  #lastSeq = -1;
  #input: { context: AudioContext; stream: MediaStream } | undefined;
  #seq = 0;
  #fade: ReturnType<typeof setTimeout> | undefined;

  constructor(kiosk: Kiosk) {
    this.#kiosk = kiosk;
    this.#room = kiosk.config.kiosk_id;
    kiosk.bus.subscribe(kiosk.subject("kiosk.voice.transcript"), (message) => {
      if (!kiosk.isOurs(message)) return;
      const payload = decode(message.data)?.["payload"] as { text?: unknown; is_final?: unknown } | undefined;
      if (typeof payload?.text !== "string") return;
      this.heard.value = { text: payload.text, final: payload.is_final === true };
      this.said.value = "";
    });
    kiosk.bus.subscribe("agent.voice.state", (message) => {
      const event = decode(message.data);
      if (event?.["room_name"] !== this.#room || !STATES.includes(event["new_state"])) return;
      const turn = typeof event["turn_index"] === "number" ? event["turn_index"] : 0;
      if (turn !== this.#turn) this.#hush();
      this.#turn = turn;
      this.state.value = event["new_state"] as VoiceState;
      clearTimeout(this.#fade);
      if (event["new_state"] === "idle") this.#fade = setTimeout(() => this.#forgetWords(), CAPTION_MS);
    });
    kiosk.bus.subscribe("agent.tts.request", (message) => {
      const request = decode(message.data);
      if (request?.["target_room"] !== this.#room || typeof request["text"] !== "string") return;
      this.said.value = request["text"];
    });
    kiosk.bus.subscribe(`agent.tts.audio.${this.#room}`, (message) => {
      const { headers, data } = message;
      const [encoding, ...parts] = (headers?.get("Audio-Format") ?? "").split(";");
      if (encoding !== "pcm_s16le" || data.length < 2 || Number(headers?.get("Turn")) < this.#turn) return;
      const request = headers?.get("Request-Id") ?? "";
      if (request !== "" && request === this.#unheard) return;
      const seq = Number(headers?.get("Seq"));
      if (request !== this.#request) this.#lastSeq = -1;
      if (!(seq > this.#lastSeq)) return;
      this.#request = request;
      this.#lastSeq = seq;
      const settings = new Map(parts.map((part) => part.split("=") as [string, string]));
      this.#play(data, Number(settings.get("rate") ?? RATE), Number(settings.get("channels") ?? 1));
    });
    addEventListener("pagehide", () => this.stop());
  }

  // Browsers let a page sound once it was touched.
  wake(): void {
    this.#output ??= new AudioContext({ latencyHint: "interactive" });
    if (this.#output.state === "suspended") void this.#output.resume();
    if (!this.#gain) {
      this.#gain = this.#output.createGain();
      this.#gain.connect(this.#output.destination);
    }
    this.#gain.gain.value = this.muted.peek() ? 0 : 1;
  }

  mute(muted: boolean): void {
    this.muted.value = muted;
    if (this.#gain) this.#gain.gain.value = muted ? 0 : 1;
  }

  #play(data: Uint8Array, rate: number, channels: number): void {
    const output = this.#output;
    if (!output || output.state !== "running" || !this.#gain || !(rate >= 8_000 && rate <= 48_000) || (channels !== 1 && channels !== 2)) return;
    const length = Math.floor(data.length / 2 / channels);
    if (length === 0) return;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const buffer = output.createBuffer(channels, length, rate);
    for (let channel = 0; channel < channels; channel++) {
      const samples = buffer.getChannelData(channel);
      for (let index = 0; index < length; index++) samples[index] = view.getInt16((index * channels + channel) * 2, true) / 32768;
    }
    const source = output.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#gain);
    const now = output.currentTime;
    if (this.#playUntil < now) this.#playUntil = now + LEAD_SECONDS;
    source.start(this.#playUntil);
    this.#playUntil += buffer.duration;
    this.#playing.add(source);
    this.sounding.value = true;
    source.onended = () => {
      this.#playing.delete(source);
      this.sounding.value = this.#playing.size > 0;
    };
  }

  // Barge-in: what is queued is of a turn that is over.
  #hush(): void {
    if (this.#playing.size > 0) this.hushes.value++;
    for (const source of this.#playing) source.stop();
    this.#playing.clear();
    this.sounding.value = false;
    this.#playUntil = 0;
  }

  async start(): Promise<void> {
    if (this.#input || this.microphone.peek() === "starting") return;
    this.wake();
    this.microphone.value = "starting";
    try {
      if (!navigator.mediaDevices) throw new DOMException("no media devices", "NotFoundError");
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
      const [context, source] = this.#listenTo(stream);
      await context.audioWorklet.addModule("/capture.js");
      const node = new AudioWorkletNode(context, "capture", { numberOfInputs: 1, numberOfOutputs: 0 });
      node.port.onmessage = ({ data }: MessageEvent<{ frame: ArrayBuffer; peak: number }>) => this.#sendFrame(data.frame, data.peak, context.sampleRate);
      source.connect(node);
      this.#input = { context, stream };
      this.#seq = 0;
      // Unplugged: as if there had been none.
      for (const track of stream.getTracks()) {
        track.onended = () => {
          this.stop();
          this.microphone.value = "none";
        };
      }
      this.microphone.value = "on";
    } catch (error) {
      this.microphone.value = error instanceof DOMException && error.name === "NotAllowedError" ? "denied" : "none";
    }
  }

  // A context of the recogniser's rate, where the browser converts; otherwise its own rate goes out.
  #listenTo(stream: MediaStream): [AudioContext, MediaStreamAudioSourceNode] {
    for (const options of [{ sampleRate: RATE }, undefined]) {
      const context = new AudioContext(options);
      try {
        return [context, context.createMediaStreamSource(stream)];
      } catch {
        void context.close();
      }
    }
    throw new DOMException("the microphone cannot be heard", "NotFoundError");
  }

  stop(): void {
    const input = this.#input;
    this.#input = undefined;
    if (this.microphone.peek() === "on") this.microphone.value = "off";
    this.level.value = 0;
    if (!input) return;
    for (const track of input.stream.getTracks()) track.stop();
    void input.context.close();
    this.#publish(new Uint8Array(), input.context.sampleRate, { End: "true" });
  }

  // What one customer said is not the next one's to read.
  forget(): void {
    this.stop();
    this.#unheard = this.#request;
    this.#hush();
    this.mute(false);
    this.#forgetWords();
    if (this.microphone.peek() === "denied" || this.microphone.peek() === "none") this.microphone.value = "off";
  }

  #forgetWords(): void {
    clearTimeout(this.#fade);
    this.heard.value = { text: "", final: true };
    this.said.value = "";
  }

  #sendFrame(frame: ArrayBuffer, peak: number, rate: number): void {
    if (!this.#input) return;
    if (this.#seq % 3 === 0) this.level.value = Math.min(1, peak * 2);
    this.#publish(new Uint8Array(frame), rate);
  }

  #publish(data: Uint8Array, rate: number, more: Record<string, string> = {}): void {
    this.#kiosk.bus.publish(`agent.voice.audio.${this.#room}`, data, {
      "Audio-Format": `pcm_s16le;rate=${rate};channels=1`,
      Seq: String(this.#seq++),
      ...this.#kiosk.headers,
      ...more,
    });
  }
}
