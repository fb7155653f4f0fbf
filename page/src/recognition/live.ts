// What is shown while the microphone records: the emotion of the turn that is being spoken, as
// emovox's StreamingRecognizer shows it (src/emovox/recognition/stream.py).
import { concatenate, Resampler } from "../audio/resample";
import type { LiveUpdate } from "../messages";
import type { Networks } from "./analyse";
import { SpanFinder, TurnJoiner } from "./spans";
import { SpeechDetector } from "./voiceActivity";

const UPDATE_S = 0.5;
/** Weight of the latest window; the rest is that of the updates of the same turn before it. */
const LATEST_WEIGHT = 0.7;
/** Another emotion is shown only if it is more probable by this much. */
const MARGIN = 0.05;

export class LiveTrace {
  private readonly resampler: Resampler;
  private readonly detector: SpeechDetector;
  private readonly spans: SpanFinder;
  private readonly turns: TurnJoiner;
  /** The latest samples, and the place of the first of them. */
  private held: Float32Array = new Float32Array(0);
  private heldFrom = 0;
  private nextUpdate: number;
  private turnStart: number | null = null;
  private smoothed: number[] | null = null;
  private shown = -1;

  constructor(
    private readonly networks: Networks,
    rateHz: number,
  ) {
    const { model, speech } = networks;
    this.resampler = new Resampler(rateHz, model.sample_rate_hz);
    this.detector = new SpeechDetector(model.rules, speech);
    this.spans = new SpanFinder(model.rules);
    this.turns = new TurnJoiner(model.rules);
    this.nextUpdate = UPDATE_S * model.sample_rate_hz;
  }

  /** Take samples; returns an update if one is due. */
  async push(samples: Float32Array): Promise<LiveUpdate | null> {
    const { sample_rate_hz: rateHz, rules } = this.networks.model;
    const resampled = this.resampler.push(samples);
    // The latest window is all that is scored.
    const joined = concatenate([this.held, resampled]);
    const drop = Math.max(0, joined.length - rules.windows.window_s * rateHz);
    this.held = joined.slice(drop);
    this.heldFrom += drop;
    for await (const probabilities of this.detector.push(resampled)) {
      for (const span of this.spans.push(probabilities)) this.turns.push(span);
    }
    const nSamples = this.heldFrom + this.held.length;
    if (nSamples < this.nextUpdate) return null;
    // If computing takes longer than the sound, what was missed is not made up for.
    this.nextUpdate = nSamples + UPDATE_S * rateHz;
    return this.predict(nSamples / rateHz);
  }

  private async predict(timeS: number): Promise<LiveUpdate> {
    const { model, emotion } = this.networks;
    const nothing = { timeS, emotion: null, confidence: null, scores: null };
    const startS = this.turns.startS ?? this.spans.openStartS;
    if (startS !== this.turnStart) {
      this.turnStart = startS;
      this.smoothed = null;
      this.shown = -1;
    }
    if (startS === null) return { ...nothing, abstained: "no speech" };
    if (timeS - startS < model.rules.predictions.too_short_s) {
      return { ...nothing, abstained: "too short" };
    }
    const from = Math.max(0, Math.round(startS * model.sample_rate_hz) - this.heldFrom);
    const latest = await emotion.score(this.held.slice(from));
    const before = this.smoothed;
    const scores = latest.map((score, i) =>
      before ? LATEST_WEIGHT * score + (1 - LATEST_WEIGHT) * before[i] : score,
    );
    this.smoothed = scores;
    const best = scores.indexOf(Math.max(...scores));
    if (this.shown < 0 || scores[best] > scores[this.shown] + MARGIN) this.shown = best;
    const confidence = scores[this.shown];
    const isSure = confidence >= model.min_confidence;
    return {
      timeS, confidence, scores,
      emotion: isSure ? model.labels[this.shown] : null,
      abstained: isSure ? null : "uncertain",
    };
  }
}
