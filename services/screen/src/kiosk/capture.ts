// Runs beside the page, in the audio thread: samples of the microphone become frames of 40 ms, 16 bit.
declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

const FRAME_SECONDS = 0.04;

class Capture extends AudioWorkletProcessor {
  readonly #length = Math.round(sampleRate * FRAME_SECONDS);
  #frame = new Int16Array(this.#length);
  #used = 0;
  #peak = 0;

  process(inputs: Float32Array[][]): boolean {
    const channels = inputs[0] ?? [];
    const samples = channels[0];
    if (!samples) return true;
    for (let index = 0; index < samples.length; index++) {
      let sample = 0;
      for (const channel of channels) sample += channel[index]!;
      sample = Math.max(-1, Math.min(1, sample / channels.length));
      this.#peak = Math.max(this.#peak, Math.abs(sample));
      this.#frame[this.#used++] = Math.round(sample * 32767);
      if (this.#used === this.#length) {
        this.port.postMessage({ frame: this.#frame.buffer, peak: this.#peak }, [this.#frame.buffer]);
        this.#frame = new Int16Array(this.#length);
        this.#used = 0;
        this.#peak = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
