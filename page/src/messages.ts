// What the page and its worker say to each other.
import type { Decoded } from "./audio/decode";
import type { Prediction } from "./recognition/results";
import type { ModelDescription } from "./recognition/rules";

export type Source = Blob | Decoded;

export type Request =
  | { kind: "open"; base: string; runtime: string }
  /** Predict a recording; without `predict`, only measure its waveform. */
  | { kind: "analyse"; id: number; source: Source; predict: boolean }
  | { kind: "cancel"; id: number }
  | { kind: "enrol"; id: number; source: Source }
  | { kind: "forget voice" }
  | { kind: "begin live"; rateHz: number }
  | { kind: "live samples"; samples: Float32Array }
  | { kind: "end live" };

export interface Analysis {
  hops: Prediction[];
  /** Peak of each 1 / PEAKS_PER_S. */
  peaks: Float32Array;
  durationS: number;
  notes: string[];
}

export interface LiveUpdate {
  /** Seconds since the recording began. */
  timeS: number;
  emotion: string | null;
  confidence: number | null;
  scores: number[] | null;
  abstained: Prediction["abstained"];
}

export type Reply =
  | { kind: "opened"; model: ModelDescription }
  | { kind: "not opened"; message: string }
  | { kind: "progress"; id: number; doneS: number; totalS: number | null }
  | { kind: "analysed"; id: number; analysis: Analysis }
  | { kind: "needs decoding"; id: number; rateHz: number }
  | { kind: "failed"; id: number; message: string }
  | { kind: "enrolled"; id: number; recordings: number }
  | { kind: "live"; update: LiveUpdate };

export const PEAKS_PER_S = 100;
