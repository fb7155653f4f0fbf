// Records the microphone at its own rate, as a 16-bit WAV file.
import workletUrl from "../recorder.worklet.ts?worker&url";

const PART_SAMPLES = 2 ** 20;
const START_MS = 20_000;

/** Why there is no microphone, in words for the user. */
export class MicrophoneError extends Error {}

export class MicrophoneRecording {
  private parts: Blob[] = [];
  private batches: Int16Array<ArrayBuffer>[] = [];
  private nBatched = 0;
  private nSamples = 0;

  private constructor(
    private readonly context: AudioContext,
    private readonly stream: MediaStream,
    private readonly node: AudioWorkletNode,
    private readonly onSamples: (samples: Float32Array) => void,
  ) {}

  get rateHz(): number {
    return this.context.sampleRate;
  }

  get durationS(): number {
    return this.nSamples / this.rateHz;
  }

  static async start(
    onSamples: (samples: Float32Array) => void,
    onEnd: () => void,
  ): Promise<MicrophoneRecording> {
    const stream = await openMicrophone();
    const context = new AudioContext();
    try {
      await context.audioWorklet.addModule(workletUrl);
      const source = context.createMediaStreamSource(stream);
      const node = new AudioWorkletNode(context, "recorder", {
        numberOfOutputs: 1, channelCount: 1, channelCountMode: "explicit",
      });
      const recording = new MicrophoneRecording(context, stream, node, onSamples);
      node.port.onmessage = ({ data }: MessageEvent<Float32Array | null>) => {
        if (data) recording.take(data);
      };
      // Connected to the output, because a browser may not run what leads nowhere; it is silent.
      source.connect(node).connect(context.destination);
      await startContext(context);
      stream.getAudioTracks()[0].addEventListener("ended", onEnd);
      return recording;
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      throw error;
    }
  }

  /** Stop, and return the recording. */
  async stop(): Promise<Blob> {
    const rateHz = this.rateHz;
    await new Promise<void>((resolve) => {
      this.node.port.onmessage = ({ data }: MessageEvent<Float32Array | null>) => {
        if (data) this.take(data);
        else resolve();
      };
      this.node.port.postMessage(null);
    });
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context.close();
    const parts = [...this.parts, ...this.batches];
    return new Blob([makeWavHeader(this.nSamples, rateHz), ...parts], { type: "audio/wav" });
  }

  private take(samples: Float32Array): void {
    const integers = new Int16Array(samples.length);
    samples.forEach((x, i) => (integers[i] = Math.max(-32768, Math.min(32767, Math.round(x * 32768)))));
    this.batches.push(integers);
    this.nBatched += samples.length;
    this.nSamples += samples.length;
    if (this.nBatched >= PART_SAMPLES) {
      // A browser may keep a blob on the disk.
      this.parts.push(new Blob(this.batches));
      this.batches = [];
      this.nBatched = 0;
    }
    this.onSamples(samples);
  }
}

async function openMicrophone(): Promise<MediaStream> {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new MicrophoneError(
      "The microphone is only available on https:// pages and on localhost. Open the page there, " +
        "or choose a file.",
    );
  }
  try {
    // The model was trained on unprocessed speech.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") {
      throw new MicrophoneError(
        "The microphone is blocked. Allow it in the browser's settings for this page and try " +
          "again, or choose a file.",
      );
    }
    if (name === "NotFoundError") {
      throw new MicrophoneError("No microphone was found. Connect one, or choose a file.");
    }
    throw new MicrophoneError(
      `The microphone cannot be opened (${name || String(error)}). Another program may be using ` +
        "it. Close that, or choose a file.",
    );
  }
}

/** Start a context; without a device for output, a browser may never do so. */
async function startContext(context: AudioContext): Promise<void> {
  const isLate = new Promise<boolean>((resolve) => setTimeout(() => resolve(true), START_MS));
  if (await Promise.race([context.resume().then(() => false), isLate])) {
    throw new MicrophoneError(
      "The browser's sound does not start. Connect loudspeakers or headphones, or choose a file.",
    );
  }
}

/** Return the header of a mono 16-bit WAV file. */
function makeWavHeader(nSamples: number, rateHz: number): ArrayBuffer {
  const header = new DataView(new ArrayBuffer(44));
  const text = (at: number, value: string) =>
    [...value].forEach((char, i) => header.setUint8(at + i, char.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, 36 + 2 * nSamples, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true);
  header.setUint16(22, 1, true);
  header.setUint32(24, rateHz, true);
  header.setUint32(28, 2 * rateHz, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  text(36, "data");
  header.setUint32(40, 2 * nSamples, true);
  return header.buffer;
}
