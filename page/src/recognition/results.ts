export type Abstained = "no speech" | "too short" | "uncertain";

/** A prediction for a hop or a segment, with the names that emovox uses in JSON. */
export interface Prediction {
  start_s: number;
  end_s: number;
  emotion: string | null;
  confidence: number | null;
  /** In the order of the model's labels; null without speech. */
  scores: number[] | null;
  abstained: Abstained | null;
}

/** Make a prediction from scores, or abstain. */
export function makePrediction(
  times: [number, number],
  scores: number[] | null,
  speechS: number,
  labels: string[],
  minConfidence: number,
  tooShortS: number,
): Prediction {
  const [start_s, end_s] = times;
  if (scores === null) {
    return { start_s, end_s, emotion: null, confidence: null, scores, abstained: "no speech" };
  }
  const confidence = Math.max(...scores);
  const uncertain = confidence < minConfidence ? "uncertain" : null;
  const abstained = speechS < tooShortS ? "too short" : uncertain;
  const emotion = abstained ? null : labels[scores.indexOf(confidence)];
  return { start_s, end_s, emotion, confidence, scores, abstained };
}

/** Merge consecutive predictions of the same emotion, or without one for the same reason. */
export function mergeSegments(hops: Prediction[]): Prediction[] {
  const groups: Prediction[][] = [];
  for (const hop of hops) {
    const before = groups.at(-1)?.[0];
    if (before && before.emotion === hop.emotion && before.abstained === hop.abstained) {
      groups.at(-1)!.push(hop);
    } else {
      groups.push([hop]);
    }
  }
  return groups.map(merge);
}

function merge(hops: Prediction[]): Prediction {
  const first = hops[0], end_s = hops.at(-1)!.end_s;
  if (hops.length === 1 || first.scores === null) return { ...first, end_s };
  const scores = first.scores.map(() => 0);
  let total = 0;
  for (const hop of hops) {
    const lasts = hop.end_s - hop.start_s;
    total += lasts;
    hop.scores!.forEach((score, i) => (scores[i] += lasts * score));
  }
  scores.forEach((_, i) => (scores[i] /= total));
  return { ...first, end_s, scores, confidence: Math.max(...scores) };
}
