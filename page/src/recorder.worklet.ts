// Collects the microphone's samples, and passes them on in batches.
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: unknown): void;

const BATCH = 4096;

class Recorder extends AudioWorkletProcessor {
  private batch = new Float32Array(BATCH);
  private n = 0;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.send();
      this.port.postMessage(null); // that was all
    };
  }

  process([input]: Float32Array[][]): boolean {
    const channel = input?.[0];
    if (channel) {
      for (const x of channel) {
        this.batch[this.n++] = x;
        if (this.n === BATCH) this.send();
      }
    }
    return true;
  }

  private send(): void {
    const samples = this.batch.slice(0, this.n);
    this.port.postMessage(samples, [samples.buffer]);
    this.n = 0;
  }
}

registerProcessor("recorder", Recorder);
