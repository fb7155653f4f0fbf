// The golden vectors of docs/runtime.md, which Python is tested with too.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { concatenate, resample } from "../src/audio/resample";
import { EmotionNetwork, openSpeechNetwork } from "../src/recognition/network";
import { LiveTrace } from "../src/recognition/live";
import { makePrediction, mergeSegments, type Prediction } from "../src/recognition/results";
import type { ModelDescription, Rules } from "../src/recognition/rules";
import { type Span, SpanFinder, TurnJoiner } from "../src/recognition/spans";
import {
  averageWindows, placeHops, placeWindows, smoothHops, Timeline,
} from "../src/recognition/timeline";
import { Leveller, SpeechDetector } from "../src/recognition/voiceActivity";
import { makeSignal, type Signal } from "./signals";

const root = new URL("../../", import.meta.url);
const read = (path: string) => new Uint8Array(readFileSync(new URL(path, root)));
const golden = JSON.parse(readFileSync(new URL("tests/golden/runtime.json", root), "utf8"));
const rules: Rules = golden.rules;
const STEP = 997;
const RATE_HZ = 16_000;
const signals = new Map<string, Signal>(
  golden.signals.cases.map((found: Case) => [found.name, found.input]),
);

interface Case {
  name: string;
  input: any;
  expected: any;
}

const pick = (samples: Float32Array) => samples.filter((_, i) => i % STEP === 0);
const made = new Map<string, Float32Array>();
function signal(name: string, rateHz = RATE_HZ): Float32Array {
  const key = `${name} ${rateHz}`;
  if (!made.has(key)) made.set(key, makeSignal(signals.get(name)!, rateHz));
  return made.get(key)!;
}


/** Compare numbers to a tolerance, and everything else exactly. */
function compare(found: any, expected: any, tolerance: number, at = ""): void {
  if (typeof expected === "number") {
    expect(Math.abs(found - expected), `${at}: ${found}, expected ${expected}`).toBeLessThanOrEqual(
      tolerance + 1e-9,
    );
  } else if (expected !== null && typeof expected === "object") {
    expect(Object.keys(found).length, `${at}: entries`).toBe(Object.keys(expected).length);
    for (const key of Object.keys(expected)) {
      compare(found[key], expected[key], tolerance, `${at}.${key}`);
    }
  } else {
    expect(found, at).toBe(expected);
  }
}

function check(
  section: string,
  compute: (input: any) => any,
  pickExpected = (expected: any) => expected,
): void {
  describe(section, () => {
    const { tolerance, cases } = golden[section];
    test.each(cases as Case[])("$name", async ({ input, expected }) => {
      compare(await compute(input), pickExpected(expected), tolerance);
    });
  });
}

const speech = await openSpeechNetwork(read("src/emovox/assets/silero_vad.onnx"));
const content = read("src/emovox/assets/default.onnx");
const model = await EmotionNetwork.open(content, null);
// Its metadata are JSON texts, each after its key and one byte of length.
const metadata = new TextDecoder("latin1").decode(content.slice(-200_000));
const minConfidence = Number(/emovox\.min_confidence\x12.([\d.]+)/s.exec(metadata)![1]);

describe("signals", () => {
  const { tolerance, cases } = golden.signals;
  test.each(cases as Case[])("$name", ({ name, input, expected }) => {
    compare(pick(signal(name, input.rate_hz)), expected, tolerance);
  });
});
check("resampled", (input) => {
  const samples = resample(signal(input.signal, input.rate_hz), input.rate_hz, RATE_HZ);
  return { n: samples.length, samples: pick(samples) };
});
check("levelled", (input) => {
  const { frame_samples: frame } = rules.voice_activity;
  const samples = signal(input.signal).map((x) => x + Math.fround(input.plus));
  const nFrames = Math.ceil(samples.length / frame);
  const padded = new Float32Array(nFrames * frame);
  padded.set(samples);
  const leveller = new Leveller(rules.voice_activity);
  const levelled = new Float32Array(padded.length);
  for (let at = 0; at < padded.length; at += frame) {
    leveller.apply(padded.subarray(at, at + frame), levelled, at);
  }
  return pick(levelled);
});
check("probabilities", async (input) => {
  const detector = new SpeechDetector(rules, speech);
  const found: Float32Array[] = [];
  for await (const block of detector.push(signal(input.signal))) found.push(block);
  for await (const block of detector.finish()) found.push(block);
  return concatenate(found);
});
check("spans", ({ probabilities, end_s }) => {
  const finder = new SpanFinder(rules);
  return joinPauses([...finder.push(probabilities), ...finder.finish(end_s)]);
});
check("turns", (input: number[][]) => {
  const joiner = new TurnJoiner(rules);
  const spans = input.map(([start_s, end_s, speech_s]) => ({ start_s, end_s, speech_s }));
  return joinPauses([...spans.flatMap((span) => joiner.push(span)), ...joiner.finish()]);
});
check("windows", ({ duration_s }) => {
  const { starts, windowS } = placeWindows(duration_s, rules);
  return { starts_s: starts, window_s: windowS, edges_s: placeHops(duration_s, rules) };
});
check("hops", ({ duration_s, windows }) => {
  const { starts, windowS } = placeWindows(duration_s, rules);
  return smoothHops(averageWindows(placeHops(duration_s, rules), starts, windowS, windows), rules);
});
check("predictions", ({ labels, scores, speech_s, min_confidence }) =>
  outline(
    makePrediction([0, 1], scores, speech_s, labels, min_confidence, rules.predictions.too_short_s),
  ),
);
check("segments", (input: Prediction[]) => mergeSegments(input).map(outline));
check("timeline", async (input) => {
  const first = golden.predictions.cases[0].input;
  const description = {
    labels: first.labels, sample_rate_hz: RATE_HZ, min_confidence: minConfidence,
    rules,
  } as ModelDescription;
  const timeline = new Timeline(description, speech, model.score);
  const hops: Prediction[] = [];
  const samples = signal(input.signal);
  for (let at = 0; at < samples.length; at += 12_345) {
    for await (const found of timeline.push(samples.slice(at, at + 12_345))) hops.push(...found);
  }
  for await (const found of timeline.finish()) hops.push(...found);
  return mergeSegments(hops).map(outline);
});

check("updates", async (input) => {
  const { labels } = golden.predictions.cases[0].input;
  const description = { labels, sample_rate_hz: RATE_HZ, min_confidence: minConfidence, rules };
  const networks = { model: description as ModelDescription, emotion: model, speech };
  const trace = new LiveTrace(networks, RATE_HZ);
  const samples = signal(input.signal).slice(0, input.first_s * RATE_HZ);
  const updates = [...(await trace.push(samples.slice(0, 7_777))), ...(await trace.push(samples.slice(7_777)))];
  return updates.map(({ timeS, emotion, scores, abstained }) => ({ time_s: timeS, emotion, scores, abstained }));
}, (expected) => expected.map(({ level_dbfs: _, ...rest }: any) => rest));

function outline({ start_s, end_s, emotion, abstained, scores }: Prediction) {
  return { start_s, end_s, emotion, abstained, scores };
}

function joinPauses(spans: Span[]): number[][] {
  const joined: Span[] = [];
  for (const span of spans) {
    const before = joined.at(-1);
    if (before && !before.speech_s && !span.speech_s) {
      joined[joined.length - 1] = { ...before, end_s: span.end_s };
    } else joined.push(span);
  }
  return joined.map(({ start_s, end_s, speech_s }) => [start_s, end_s, speech_s]);
}
