// Downloads, as emovox writes them (src/emovox/timeline/formats.py).
import type { Prediction } from "./recognition/results";

export interface Timeline {
  file: string;
  segments: Prediction[];
  notes: string[];
}

/** Return the JSON of `emovox timeline --format json`. */
export function toJson(timelines: Timeline[], labels: string[]): string {
  const objects = timelines.flatMap(({ file, segments, notes }) =>
    segments.map((s) => ({
      file,
      start_s: s.start_s,
      end_s: s.end_s,
      emotion: s.emotion,
      confidence: s.confidence,
      scores: s.scores && Object.fromEntries(labels.map((label, i) => [label, s.scores![i]])),
      abstained: s.abstained,
      channel: null,
      notes,
    })),
  );
  return JSON.stringify(objects, null, 2) + "\n";
}

/** Return the table of `emovox timeline --format csv`: a column for each emotion. */
export function toCsv(timelines: Timeline[], labels: string[]): string {
  const head = ["file", "start_s", "end_s", "emotion", "confidence", "abstained", "notes"];
  const rows = timelines.flatMap(({ file, segments, notes }) =>
    segments.map((s) => [
      file, s.start_s, s.end_s, s.emotion, s.confidence, s.abstained, notes.join("; "),
      ...(s.scores ?? labels.map(() => null)),
    ]),
  );
  return [[...head, ...labels], ...rows].map((row) => row.map(quote).join(",") + "\n").join("");
}

function quote(value: string | number | null): string {
  const text = value === null ? "" : String(value);
  // A spreadsheet would run a name that begins like a formula.
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Return SubRip subtitles. */
export function toSrt(segments: Prediction[]): string {
  return segments
    .filter((s) => Math.round(1000 * s.start_s) < Math.round(1000 * s.end_s))
    .map((s, i) => {
      const confidence = s.confidence === null ? "" : ` ${formatPercent(s.confidence)}`;
      const times = `${formatClock(s.start_s)} --> ${formatClock(s.end_s)}`;
      return `${i + 1}\n${times}\n${labelSegment(s)}${confidence}\n`;
    })
    .join("\n");
}

/** Return the emotion, or why there is none. */
export function labelSegment(segment: Prediction): string {
  return segment.emotion ?? segment.abstained ?? "";
}

export function formatPercent(share: number): string {
  return `${Math.round(100 * share)}%`;
}

/** Return minutes and seconds, with hours if there are any: 1:02:05.0. */
export function formatTime(timeS: number, digits = 1): string {
  const scale = 10 ** digits;
  const units = Math.round(timeS * scale);
  const seconds = (units % (60 * scale)) / scale;
  const minutes = Math.floor(units / (60 * scale));
  const tail = seconds.toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  if (minutes < 60) return `${minutes}:${tail}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${tail}`;
}

function formatClock(timeS: number): string {
  const ms = Math.round(1000 * timeS);
  const pad = (value: number, width = 2) => String(Math.floor(value)).padStart(width, "0");
  const clock = `${pad(ms / 3_600_000)}:${pad((ms / 60_000) % 60)}:${pad((ms / 1000) % 60)}`;
  return `${clock},${pad(ms % 1000, 3)}`;
}

/** Return in one sentence how long each emotion lasts. */
export function summarize(segments: Prediction[]): string {
  const lasts = new Map<string, number>();
  let speechS = 0;
  for (const s of segments) {
    if (!s.scores) continue;
    const seconds = s.end_s - s.start_s;
    lasts.set(labelSegment(s), (lasts.get(labelSegment(s)) ?? 0) + seconds);
    speechS += seconds;
  }
  if (!speechS) return "No speech was detected.";
  const shares = [...lasts].sort((a, b) => b[1] - a[1]);
  const text = shares.map(([label, s]) => `${label} ${formatPercent(s / speechS)}`).join(", ");
  return `${formatTime(speechS, 0)} of speech: ${text}.`;
}
