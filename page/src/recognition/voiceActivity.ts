// Voice activity: docs/runtime.md, "Voice activity".
import { concatenate, resample } from "../audio/resample";
import { mean, measureLevel, measurePeak } from "./numbers";
import type { Rules } from "./rules";

/** A recording at this rate has nothing above 70 Hz, and what lies below 64 Hz. */
const LOWS_RATE_HZ = 140;

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

class Memory {
  state: SpeechState = { h: new Float32Array(128), c: new Float32Array(128) };
  context: Float32Array;
  constructor(contextSamples: number) {
    this.context = new Float32Array(contextSamples);
  }
}

/** Removes what lies below 64 Hz, a chunk at a time, with half a second before and after it. */
export class LowsRemover {
  private held: Float32Array[] = [];
  private nHeld = 0;
  private before = new Float32Array(0);
  private waiting: Float32Array | null = null;
  private readonly reach: number;

  constructor(
    private readonly rateHz: number,
    private readonly chunkSamples: number,
  ) {
    this.reach = rateHz / 2;
  }

  push(samples: Float32Array): Float32Array[] {
    this.held.push(samples);
    this.nHeld += samples.length;
    if (this.nHeld < this.chunkSamples) return [];
    const done: Float32Array[] = [];
    let joined = concatenate(this.held);
    while (joined.length >= this.chunkSamples) {
      done.push(...this.take(joined.slice(0, this.chunkSamples)));
      joined = joined.slice(this.chunkSamples);
    }
    this.held = [joined];
    this.nHeld = joined.length;
    return done;
  }

  finish(): Float32Array[] {
    const rest = concatenate(this.held);
    const done = rest.length ? this.take(rest) : [];
    if (this.waiting) done.push(this.filter(new Float32Array(0)));
    return done;
  }

  private take(chunk: Float32Array): Float32Array[] {
    const done = this.waiting ? [this.filter(chunk.subarray(0, this.reach))] : [];
    this.waiting = chunk;
    return done;
  }

  private filter(after: Float32Array): Float32Array {
    const waiting = this.waiting!;
    const around = concatenate([this.before, waiting, after]);
    const from = this.before.length;
    this.before = waiting.slice(-this.reach);
    return removeLows(around, this.rateHz).slice(from, from + waiting.length);
  }
}

/** Remove what lies below 64 Hz; beyond its ends, a recording continues with constants. */
export function removeLows(samples: Float32Array, rateHz: number): Float32Array {
  if (measurePeak(samples) === 0) return new Float32Array(samples.length); // digital silence
  const reach = rateHz / 2, edge = Math.floor(rateHz / 100);
  const padded = new Float32Array(samples.length + 2 * reach);
  padded.fill(mean(samples.subarray(0, edge)), 0, reach);
  padded.set(samples, reach);
  padded.fill(mean(samples.slice(-edge)), reach + samples.length);
  const lows = resample(resample(padded, rateHz, LOWS_RATE_HZ), LOWS_RATE_HZ, rateHz);
  return samples.map((x, i) => x - lows[reach + i]);
}

/** Finds how probable speech is in each frame of a recording that arrives in blocks. */
export class SpeechDetector {
  private readonly lows: LowsRemover;
  private memory: Memory;
  private levelBefore = 0;

  constructor(
    private readonly rules: Rules,
    private readonly network: SpeechNetwork,
  ) {
    const { rate_hz, chunk_samples, context_samples } = rules.voice_activity;
    this.lows = new LowsRemover(rate_hz, chunk_samples);
    this.memory = new Memory(context_samples);
  }

  async *push(samples: Float32Array): AsyncGenerator<Float32Array> {
    for (const chunk of this.lows.push(samples)) yield await this.measure(chunk);
  }

  async *finish(): AsyncGenerator<Float32Array> {
    for (const chunk of this.lows.finish()) yield await this.measure(chunk);
  }

  private async measure(chunk: Float32Array): Promise<Float32Array> {
    const { frame_samples, context_samples, level_rms, slowing, rate_hz } =
      this.rules.voice_activity;
    const nFrames = Math.ceil(chunk.length / frame_samples);
    if (measurePeak(chunk) < this.rules.silence_peak) {
      this.memory = new Memory(context_samples);
      this.levelBefore = 0;
      return new Float32Array(nFrames);
    }
    const level = measureLevel(chunk);
    const gain = Math.fround(level_rms / Math.max(level, this.levelBefore));
    this.levelBefore = level;
    const levelled = chunk.map((x) => x * gain);
    const found = await this.listen(levelled, this.memory);
    if (Math.max(...found) < this.rules.spans.speech_probability) {
      const slowed = resample(levelled, rate_hz, Math.round(slowing * rate_hz));
      const slow = await this.listen(slowed, new Memory(context_samples));
      for (let i = 0; i < nFrames; i++) {
        const at = Math.min(Math.floor((i + 0.5) * slowing), slow.length - 1);
        found[i] = Math.max(found[i], slow[at]);
      }
    }
    return found;
  }

  private async listen(samples: Float32Array, memory: Memory): Promise<Float32Array> {
    const { frame_samples: frame, context_samples: context } = this.rules.voice_activity;
    const nFrames = Math.ceil(samples.length / frame);
    const padded = new Float32Array(context + nFrames * frame);
    padded.set(memory.context);
    padded.set(samples, context);
    const rows = new Float32Array(nFrames * (context + frame)); // (frames, 576)
    for (let i = 0; i < nFrames; i++) {
      rows.set(padded.subarray(i * frame, (i + 1) * frame + context), i * (context + frame));
    }
    memory.context = padded.slice(-context);
    const { probabilities, state } = await this.network(rows, nFrames, memory.state);
    memory.state = state;
    return probabilities;
  }
}
