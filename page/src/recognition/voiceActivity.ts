// Voice activity: docs/runtime.md, "Voice activity".
import type { Rules } from "./rules";

/** Of a Butterworth filter's two sections. */
const QUALITIES = [0.541196100146197, 1.306562964876377];
/** Frames that the network is run on at once: a second. */
const BLOCK_FRAMES = 32;

export interface SpeechState {
  h: Float32Array;
  c: Float32Array;
}

/** Runs Silero VAD on rows of context and frame; returns the probability of each row. */
export type SpeechNetwork = (
  rows: Float32Array,
  nFrames: number,
  state: SpeechState,
) => Promise<{ probabilities: Float32Array; state: SpeechState }>;

/** Removes lows, and sets the level of one frame after the other, by nothing that is later. */
export class Leveller {
  private readonly sections: Section[];
  private readonly powers: number[];
  private readonly fading: number;
  private power = 0;

  constructor(private readonly rules: Rules["voice_activity"]) {
    const { lowest_hz, rate_hz, frame_samples, attack_s, release_s } = rules;
    this.sections = QUALITIES.map((quality) => new Section(lowest_hz, rate_hz, quality));
    this.powers = new Array(Math.round((attack_s * rate_hz) / frame_samples)).fill(0);
    this.fading = Math.exp(-frame_samples / rate_hz / release_s);
  }

  /** Write a levelled frame to a place in an array. */
  apply(frame: Float32Array, out: Float32Array, at: number): void {
    const samples = Float64Array.from(frame);
    for (const section of this.sections) section.apply(samples);
    let sum = 0;
    for (const x of samples) sum += x * x;
    this.powers.shift();
    this.powers.push(sum / samples.length);
    const now = this.powers.reduce((a, b) => a + b, 0) / this.powers.length;
    this.power = Math.max(now, this.power * this.fading);
    const gain = this.rules.level_rms / Math.max(Math.sqrt(this.power), this.rules.min_level_rms);
    for (let i = 0; i < samples.length; i++) out[at + i] = samples[i] * gain;
  }
}

/** A high-pass filter of second order. */
class Section {
  private readonly gain: number;
  private readonly a1: number;
  private readonly a2: number;
  private x1 = 0;
  private x2 = 0;
  private y1 = 0;
  private y2 = 0;

  constructor(cornerHz: number, rateHz: number, quality: number) {
    const w = (2 * Math.PI * cornerHz) / rateHz;
    const alpha = Math.sin(w) / (2 * quality);
    this.gain = (1 + Math.cos(w)) / 2 / (1 + alpha);
    this.a1 = (-2 * Math.cos(w)) / (1 + alpha);
    this.a2 = (1 - alpha) / (1 + alpha);
  }

  apply(samples: Float64Array): void {
    const { gain, a1, a2 } = this;
    let { x1, x2, y1, y2 } = this;
    for (let i = 0; i < samples.length; i++) {
      const x = samples[i];
      const y = gain * (x - 2 * x1 + x2) - a1 * y1 - a2 * y2;
      x2 = x1;
      x1 = x;
      y2 = y1;
      y1 = y;
      samples[i] = y;
    }
    Object.assign(this, { x1, x2, y1, y2 });
  }
}

/** Finds how probable speech is in each frame of a recording that arrives in blocks. */
export class SpeechDetector {
  private readonly leveller: Leveller;
  private state: SpeechState = { h: new Float32Array(128), c: new Float32Array(128) };
  private context: Float32Array;
  private held: Float32Array = new Float32Array(0);

  constructor(
    private readonly rules: Rules,
    private readonly network: SpeechNetwork,
  ) {
    this.leveller = new Leveller(rules.voice_activity);
    this.context = new Float32Array(rules.voice_activity.context_samples);
  }

  /** Yield the probabilities of the frames that samples fill. */
  async *push(samples: Float32Array): AsyncGenerator<Float32Array> {
    const { frame_samples: frame } = this.rules.voice_activity;
    const joined = new Float32Array(this.held.length + samples.length);
    joined.set(this.held);
    joined.set(samples, this.held.length);
    const nFrames = Math.floor(joined.length / frame);
    this.held = joined.slice(nFrames * frame);
    for (let at = 0; at < nFrames; at += BLOCK_FRAMES) {
      const n = Math.min(BLOCK_FRAMES, nFrames - at);
      yield await this.rate(joined.subarray(at * frame, (at + n) * frame), n);
    }
  }

  /** Yield the probability of the last frame, filled up with zeros. */
  async *finish(): AsyncGenerator<Float32Array> {
    if (!this.held.length) return;
    const { frame_samples: frame } = this.rules.voice_activity;
    yield* this.push(new Float32Array(frame - this.held.length));
  }

  private async rate(samples: Float32Array, nFrames: number): Promise<Float32Array> {
    const { frame_samples: frame, context_samples: context } = this.rules.voice_activity;
    const levelled = new Float32Array(context + nFrames * frame);
    levelled.set(this.context);
    const rows = new Float32Array(nFrames * (context + frame)); // (frames, 576)
    for (let i = 0; i < nFrames; i++) {
      const end = (i + 1) * frame;
      this.leveller.apply(samples.subarray(i * frame, end), levelled, context + i * frame);
      rows.set(levelled.subarray(i * frame, end + context), i * (context + frame));
    }
    this.context = levelled.slice(-context);
    const { probabilities, state } = await this.network(rows, nFrames, this.state);
    this.state = state;
    return probabilities;
  }
}
