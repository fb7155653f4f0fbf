// A preview while recording: the last seconds, judged as if they were a turn of their own.
import { concatenate, Resampler } from "../audio/resample";
import type { LiveUpdate } from "../messages";
import type { Networks } from "./analyse";
import { measureLevel, measurePeak } from "./numbers";
import { makePrediction } from "./results";
import { removeLows } from "./voiceActivity";

const UPDATE_S = 0.5;
/** Speech in a pause of this length is over. */
const RECENT_S = 1;

export class LiveTrace {
  private readonly resampler: Resampler;
  private window: Float32Array = new Float32Array(0);
  private nSamples = 0;
  private nextUpdate: number;
  /** Levels of earlier updates: what is much softer than these is room tone. */
  private loudest = 0;

  constructor(
    private readonly networks: Networks,
    rateHz: number,
  ) {
    this.resampler = new Resampler(rateHz, networks.model.sample_rate_hz);
    this.nextUpdate = UPDATE_S * networks.model.sample_rate_hz;
  }

  /** Take samples; returns the latest update if one is due. */
  async push(samples: Float32Array): Promise<LiveUpdate | null> {
    const { model } = this.networks;
    const resampled = this.resampler.push(samples);
    this.nSamples += resampled.length;
    const keep = model.rules.windows.window_s * model.sample_rate_hz;
    this.window = concatenate([this.window, resampled]).slice(-keep);
    if (this.nSamples < this.nextUpdate) return null;
    // If computing takes longer than the sound, what was missed is not made up for.
    this.nextUpdate = this.nSamples + UPDATE_S * model.sample_rate_hz;
    return this.predict();
  }

  private async predict(): Promise<LiveUpdate> {
    const { model, emotion, speech } = this.networks;
    const { rules, labels, min_confidence } = model;
    const { frame_samples, context_samples, level_rms, rate_hz } = rules.voice_activity;
    const timeS = this.nSamples / model.sample_rate_hz;
    const found = (scores: number[] | null, speechS: number): LiveUpdate => {
      const tooShort = rules.predictions.too_short_s;
      const made = makePrediction([0, timeS], scores, speechS, labels, min_confidence, tooShort);
      const { emotion, confidence, abstained } = made;
      return { timeS, emotion, confidence, scores, abstained };
    };
    const samples = removeLows(this.window, rate_hz);
    if (measurePeak(samples) < rules.silence_peak) return found(null, 0);
    this.loudest = Math.max(measureLevel(samples), 0.9 * this.loudest);
    const nFrames = Math.floor(samples.length / frame_samples);
    const rows = new Float32Array(nFrames * (context_samples + frame_samples));
    const padded = new Float32Array(context_samples + samples.length);
    samples.forEach((x, i) => (padded[context_samples + i] = (x * level_rms) / this.loudest));
    for (let i = 0; i < nFrames; i++) {
      const row = padded.subarray(i * frame_samples, (i + 1) * frame_samples + context_samples);
      rows.set(row, i * (context_samples + frame_samples));
    }
    const state = { h: new Float32Array(128), c: new Float32Array(128) };
    const { probabilities } = await speech(rows, nFrames, state);
    const spoken: number[] = [];
    probabilities.forEach((p, i) => p >= rules.spans.speech_probability && spoken.push(i));
    const frameS = frame_samples / rate_hz;
    const last = spoken.at(-1);
    if (last === undefined || (nFrames - last) * frameS > RECENT_S) return found(null, 0);
    const from = Math.max(0, spoken[0] - 1) * frame_samples;
    const scores = await emotion.score(this.window.slice(from));
    return found(scores, spoken.length * frameS);
  }
}
