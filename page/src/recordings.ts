// The recordings of this visit, and their predictions. Nothing outlives the page.
import type { Engine } from "./engine";
import type { ModelDescription } from "./recognition/rules";
import { mergeSegments, type Prediction } from "./recognition/results";
import { requestTimeline, ServerError } from "./server";

export type Where = "browser" | "server";

export interface Result {
  hops: Prediction[];
  segments: Prediction[];
  peaks: Float32Array;
  durationS: number;
  notes: string[];
}

export interface Recording {
  readonly id: number;
  readonly name: string;
  readonly file: Blob;
  where: Where;
  state: "waiting" | "working" | "done" | "failed";
  /** Share of the work that is done, if known. */
  progress: number | null;
  error: string;
  result: Result | null;
}

export class Recordings {
  readonly all: Recording[] = [];
  key = "";
  private stopping: AbortController | null = null;
  private isRunning = false;

  constructor(
    private readonly engine: Engine,
    private readonly model: ModelDescription,
    private readonly base: string,
    private readonly onChange: (recording: Recording) => void,
    private readonly onKeyNeeded: () => void,
  ) {}

  add(name: string, file: Blob, where: Where): Recording {
    const recording: Recording = {
      id: this.all.length + 1, name, file, where,
      state: "waiting", progress: null, error: "", result: null,
    };
    this.all.push(recording);
    this.onChange(recording);
    void this.run();
    return recording;
  }

  /** Predict again, such as with another voice. */
  repeat(recording: Recording, where: Where): void {
    recording.where = where;
    recording.state = "waiting";
    this.onChange(recording);
    void this.run();
  }

  /** Stop what is running. */
  stop(): void {
    this.stopping?.abort();
  }

  /** Work on what is waiting, one recording at a time. */
  private async run(): Promise<void> {
    if (this.isRunning) return;
    this.isRunning = true;
    for (;;) {
      const recording = this.all.find((found) => found.state === "waiting");
      if (!recording) break;
      await this.predict(recording);
    }
    this.isRunning = false;
  }

  private async predict(recording: Recording): Promise<void> {
    this.stopping = new AbortController();
    const { signal } = this.stopping;
    recording.state = "working";
    recording.progress = 0;
    recording.error = "";
    this.onChange(recording);
    const isHere = recording.where === "browser";
    try {
      const onProgress = (doneS: number, totalS: number | null) => {
        recording.progress = totalS ? Math.min(1, doneS / totalS) : null;
        this.onChange(recording);
      };
      const analysis = await this.engine.analyse(recording.file, isHere, onProgress, signal);
      const served = isHere
        ? null
        : await requestTimeline(this.base, recording.file, this.model.labels, this.key, signal);
      const hops = served?.segments ?? analysis.hops;
      recording.result = {
        hops,
        segments: served?.segments ?? mergeSegments(analysis.hops),
        peaks: analysis.peaks,
        durationS: analysis.durationS,
        notes: served?.notes ?? analysis.notes,
      };
      recording.state = "done";
    } catch (error) {
      recording.state = "failed";
      recording.error = signal.aborted ? "Stopped." : (error as Error).message;
      if (error instanceof ServerError && error.needsKey) this.onKeyNeeded();
    }
    this.onChange(recording);
  }
}
