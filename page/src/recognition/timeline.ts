// From samples to predictions for each hop: docs/runtime.md, "Timeline".
import { concatenate } from "../audio/resample";
import { roundEven, roundTo6 } from "./numbers";
import { makePrediction, type Prediction } from "./results";
import type { ModelDescription, Rules } from "./rules";
import { type Span, SpanFinder, TurnJoiner } from "./spans";
import { SpeechDetector, type SpeechNetwork } from "./voiceActivity";

/** Returns the probabilities of a window of samples at the model's rate. */
export type Score = (samples: Float32Array) => Promise<number[]>;

/** Place windows over a turn: one every hop, and the last at its end. */
export function placeWindows(durationS: number, rules: Rules): { starts: number[]; windowS: number } {
  const { window_s, window_hop_s } = rules.windows;
  const n = Math.ceil((durationS - window_s) / window_hop_s - 0.5);
  if (n < 1) return { starts: [0], windowS: durationS };
  const starts = Array.from({ length: n }, (_, k) => k * window_hop_s);
  return { starts: [...starts, durationS - window_s], windowS: window_s };
}

/** Return the edges of a turn's hops, in seconds after its start. */
export function placeHops(durationS: number, rules: Rules): number[] {
  const { hop_s } = rules.windows;
  const m = Math.max(1, Math.ceil(durationS / hop_s - 0.5));
  return [...Array.from({ length: m }, (_, j) => j * hop_s), durationS];
}

/** Average the probabilities of the windows that overlap each hop, weighted by how long. */
export function averageWindows(
  edges: number[],
  starts: number[],
  windowS: number,
  scores: number[][],
): number[][] {
  return edges.slice(1).map((end, j) => {
    const sums = scores[0].map(() => 0);
    let total = 0;
    starts.forEach((start, k) => {
      const weight = Math.max(0, Math.min(end, start + windowS) - Math.max(edges[j], start));
      total += weight;
      scores[k].forEach((p, i) => (sums[i] += weight * p));
    });
    return sums.map((sum) => sum / total);
  });
}

/** Average each hop of a turn with those before and after it. */
export function smoothHops(hops: number[][], rules: Rules): number[][] {
  const [before, here, after] = rules.windows.smoothing;
  return hops.map((hop, j) => {
    const previous = hops[Math.max(0, j - 1)], next = hops[Math.min(hops.length - 1, j + 1)];
    return hop.map((p, i) => before * previous[i] + here * p + after * next[i]);
  });
}

/** Follows the emotion through a recording that arrives in blocks at the model's rate. */
export class Timeline {
  private readonly detector: SpeechDetector;
  private readonly spans: SpanFinder;
  private readonly turns: TurnJoiner;
  private held: Float32Array[] = [];
  private nTaken = 0;
  private nPassed = 0;

  constructor(
    private readonly model: ModelDescription,
    network: SpeechNetwork,
    private readonly score: Score,
  ) {
    // The page has models at one rate only: that of voice activity.
    if (model.sample_rate_hz !== model.rules.voice_activity.rate_hz) {
      throw new Error(
        `the model takes ${model.sample_rate_hz} Hz; this page runs models at ` +
          `${model.rules.voice_activity.rate_hz} Hz`,
      );
    }
    this.detector = new SpeechDetector(model.rules, network);
    this.spans = new SpanFinder(model.rules);
    this.turns = new TurnJoiner(model.rules);
  }

  async *push(samples: Float32Array): AsyncGenerator<Prediction[]> {
    this.held.push(samples);
    this.nPassed += samples.length;
    for await (const probabilities of this.detector.push(samples)) {
      yield* this.follow(this.spans.push(probabilities));
    }
  }

  async *finish(): AsyncGenerator<Prediction[]> {
    for await (const probabilities of this.detector.finish()) {
      yield* this.follow(this.spans.push(probabilities));
    }
    yield* this.follow(this.spans.finish(this.nPassed / this.model.sample_rate_hz));
    for (const turn of this.turns.finish()) yield await this.predictTurn(turn);
  }

  private async *follow(spans: Span[]): AsyncGenerator<Prediction[]> {
    for (const span of spans) {
      for (const turn of this.turns.push(span)) yield await this.predictTurn(turn);
    }
  }

  private async predictTurn(turn: Span): Promise<Prediction[]> {
    const { rules, labels, sample_rate_hz: rateHz } = this.model;
    const samples = this.take(roundEven(turn.end_s * rateHz));
    const predict = (times: [number, number], scores: number[] | null) =>
      makePrediction(
        times,
        scores,
        turn.speech_s,
        labels,
        this.model.min_confidence,
        rules.predictions.too_short_s,
      );
    if (!turn.speech_s) return [predict([turn.start_s, turn.end_s], null)];
    const durationS = samples.length / rateHz;
    const { starts, windowS } = placeWindows(durationS, rules);
    const scores: number[][] = [];
    for (const start of starts) {
      const first = roundEven(start * rateHz);
      scores.push(await this.score(samples.slice(first, first + roundEven(windowS * rateHz))));
    }
    const edges = placeHops(durationS, rules);
    const hops = smoothHops(averageWindows(edges, starts, windowS, scores), rules);
    const times = edges.map((edge) => roundTo6(turn.start_s + edge));
    times[times.length - 1] = turn.end_s;
    return hops.map((hop, j) => predict([times[j], times[j + 1]], hop));
  }

  /** Return the samples that were not taken yet, up to an index. */
  private take(end: number): Float32Array {
    const held = concatenate(this.held);
    const n = end - this.nTaken;
    this.held = [held.slice(n)];
    this.nTaken = end;
    return held.slice(0, n);
  }
}
