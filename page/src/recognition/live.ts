// What is shown while the microphone records: docs/runtime.md, "Stream".
import { concatenate, Resampler } from "../audio/resample";
import type { LiveUpdate } from "../messages";
import type { Networks } from "./analyse";
import { roundEven } from "./numbers";
import { SpanFinder, TurnJoiner } from "./spans";
import { SpeechDetector } from "./voiceActivity";

/** On a device that is too slow, one of so many updates is made. */
const LATE_UPDATES = 4;

export class LiveTrace {
  private readonly resampler: Resampler;
  private readonly detector: SpeechDetector;
  private readonly spans: SpanFinder;
  private readonly turns: TurnJoiner;
  private readonly blockSamples: number;
  private waiting: Float32Array = new Float32Array(0);
  private nProcessed = 0;
  private nUpdates = 0;
  /** The latest samples at the model's rate, and the place of the first of them. */
  private held: Float32Array = new Float32Array(0);
  private heldFrom = 0;
  private turnStart: number | null = null;
  private latest: { steps: number; scores: number[] } | null = null;
  private smoothed: number[] | null = null;
  private shown = -1;

  constructor(
    private readonly networks: Networks,
    private readonly rateHz: number,
  ) {
    const { model, speech } = networks;
    this.blockSamples = Math.max(1, Math.floor(rateHz / model.rules.stream.blocks_per_s));
    this.resampler = new Resampler(rateHz, model.sample_rate_hz);
    this.detector = new SpeechDetector(model.rules, speech);
    this.spans = new SpanFinder(model.rules);
    this.turns = new TurnJoiner(model.rules);
  }

  /** Take samples; returns the updates that are due. If it is late, most are left out. */
  async push(samples: Float32Array, isLate = false): Promise<LiveUpdate[]> {
    const { update_hop_s } = this.networks.model.rules.stream;
    const updates: LiveUpdate[] = [];
    this.waiting = concatenate([this.waiting, samples]);
    let at = 0;
    for (; at + this.blockSamples <= this.waiting.length; at += this.blockSamples) {
      await this.process(this.waiting.slice(at, at + this.blockSamples));
      while (this.nProcessed >= roundEven((this.nUpdates + 1) * update_hop_s * this.rateHz)) {
        this.nUpdates += 1;
        if (!isLate || this.nUpdates % LATE_UPDATES === 0) updates.push(await this.predict(this.nUpdates * update_hop_s));
      }
    }
    this.waiting = this.waiting.slice(at);
    return updates;
  }

  private async process(block: Float32Array): Promise<void> {
    const { sample_rate_hz: rateHz, rules } = this.networks.model;
    this.nProcessed += block.length;
    const resampled = this.resampler.push(block);
    const joined = concatenate([this.held, resampled]);
    // No window begins earlier than this.
    const keep = (rules.windows.window_s + 2 * rules.stream.step_s) * rateHz;
    const drop = Math.max(0, joined.length - keep);
    this.held = joined.slice(drop);
    this.heldFrom += drop;
    for await (const probabilities of this.detector.push(resampled)) {
      for (const span of this.spans.push(probabilities)) this.turns.push(span);
      const startS = this.turns.startS ?? this.spans.openStartS;
      if (startS === this.turnStart) continue;
      this.turnStart = startS;
      this.latest = this.smoothed = null;
      this.shown = -1;
    }
  }

  private async predict(timeS: number): Promise<LiveUpdate> {
    const { model } = this.networks;
    const { latest_weight, margin } = model.rules.stream;
    const nothing = { timeS, emotion: null, confidence: null, scores: null };
    if (this.turnStart === null) return { ...nothing, abstained: "no speech" };
    const found = await this.scoreLatest(this.turnStart);
    if (found === null) return { ...nothing, abstained: "too short" };
    const before = this.smoothed;
    const scores = found.map((score, i) =>
      before ? latest_weight * score + (1 - latest_weight) * before[i] : score,
    );
    this.smoothed = scores;
    const best = scores.indexOf(Math.max(...scores));
    if (this.shown < 0 || scores[best] > scores[this.shown] + margin) this.shown = best;
    const confidence = scores[this.shown];
    const isSure = confidence >= model.min_confidence;
    return {
      timeS, confidence, scores,
      emotion: isSure ? model.labels[this.shown] : null,
      abstained: isSure ? null : "uncertain",
    };
  }

  /** Return the probabilities of the latest window of a turn; null if it is too short. */
  private async scoreLatest(startS: number): Promise<number[] | null> {
    const { model, emotion } = this.networks;
    const { windows, predictions, stream } = model.rules;
    const rateHz = model.sample_rate_hz;
    const first = roundEven(startS * rateHz) - this.heldFrom;
    const durationS = (this.held.length - first) / rateHz;
    if (durationS < predictions.too_short_s) return null;
    if (durationS < windows.window_s) return emotion.score(this.held.slice(first));
    const steps = Math.floor((durationS - windows.window_s) / stream.step_s);
    if (this.latest?.steps !== steps) {
      const from = first + roundEven(steps * stream.step_s * rateHz);
      const window = this.held.slice(from, from + roundEven(windows.window_s * rateHz));
      this.latest = { steps, scores: await emotion.score(window) };
    }
    return this.latest.scores;
  }
}
