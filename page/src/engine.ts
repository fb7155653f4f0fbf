// The worker, as promises.
import type { Decoded } from "./audio/decode";
import type { Analysis, LiveUpdate, Reply, Request, Source } from "./messages";
import type { ModelDescription } from "./recognition/rules";

/** Decoding a recording as a whole needs memory for all of it. */
const MAX_WHOLE_BYTES = 100 * 2 ** 20;

type Progress = (doneS: number, totalS: number | null) => void;

interface Job {
  request: Extract<Request, { kind: "analyse" | "enrol" }>;
  resolve: (value: Analysis | number) => void;
  reject: (error: Error) => void;
  onProgress: Progress;
}

export class Engine {
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private readonly jobs = new Map<number, Job>();
  private nextId = 1;
  private onLive: (update: LiveUpdate) => void = () => {};

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Reply>) => void this.take(data);
  }

  private opening: { resolve: (m: ModelDescription) => void; reject: (e: Error) => void } | null =
    null;

  /** Load the model. */
  open(base: string, runtime: string): Promise<ModelDescription> {
    return new Promise((resolve, reject) => {
      this.opening = { resolve, reject };
      this.worker.onerror = (event) => reject(new Error(event.message || "the worker cannot start"));
      this.send({ kind: "open", base, runtime });
    });
  }

  analyse(
    source: Source,
    predict: boolean,
    onProgress: Progress,
    signal: AbortSignal,
  ): Promise<Analysis> {
    const id = this.nextId++;
    signal.addEventListener("abort", () => {
      this.send({ kind: "cancel", id });
      this.jobs.get(id)?.reject(new DOMException("cancelled", "AbortError"));
      this.jobs.delete(id);
    });
    return this.start({ kind: "analyse", id, source, predict }, onProgress) as Promise<Analysis>;
  }

  /** Enrol a voice; returns of how many recordings it now is. */
  enrol(source: Source): Promise<number> {
    const id = this.nextId++;
    return this.start({ kind: "enrol", id, source }, () => {}) as Promise<number>;
  }

  forgetVoice(): void {
    this.send({ kind: "forget voice" });
  }

  beginLive(rateHz: number, onLive: (update: LiveUpdate) => void): void {
    this.onLive = onLive;
    this.send({ kind: "begin live", rateHz });
  }

  pushLive(samples: Float32Array): void {
    this.worker.postMessage({ kind: "live samples", samples } satisfies Request);
  }

  endLive(): void {
    this.onLive = () => {};
    this.send({ kind: "end live" });
  }

  private start(request: Job["request"], onProgress: Progress): Promise<Analysis | number> {
    return new Promise((resolve, reject) => {
      this.jobs.set(request.id, { request, resolve, reject, onProgress });
      this.send(request);
    });
  }

  private send(request: Request): void {
    this.worker.postMessage(request);
  }

  private async take(reply: Reply): Promise<void> {
    if (reply.kind === "opened") return this.opening?.resolve(reply.model);
    if (reply.kind === "not opened") return this.opening?.reject(new Error(reply.message));
    if (reply.kind === "live") return this.onLive(reply.update);
    const job = this.jobs.get(reply.id);
    if (!job) return;
    if (reply.kind === "progress") return job.onProgress(reply.doneS, reply.totalS);
    if (reply.kind === "needs decoding") {
      try {
        const source = await decodeWhole(job.request.source as Blob, reply.rateHz);
        this.send({ ...job.request, source });
      } catch (error) {
        this.jobs.delete(reply.id);
        job.reject(error as Error);
      }
      return;
    }
    this.jobs.delete(reply.id);
    if (reply.kind === "failed") job.reject(new Error(reply.message));
    else job.resolve(reply.kind === "analysed" ? reply.analysis : reply.recordings);
  }
}

/** Decode a recording as a whole, at its own rate: for codecs that a worker does not have. */
async function decodeWhole(file: Blob, rateHz: number): Promise<Decoded> {
  if (file.size > MAX_WHOLE_BYTES) {
    throw new Error(
      "This browser cannot decode so long a recording of this kind. Convert it to WAV or MP3.",
    );
  }
  try {
    const context = new OfflineAudioContext(1, 1, rateHz);
    const buffer = await context.decodeAudioData(await file.arrayBuffer());
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) =>
      buffer.getChannelData(i),
    );
    return { rateHz: buffer.sampleRate, channels };
  } catch {
    throw new Error("This browser has no decoder for the recording. Convert it to WAV or MP3.");
  }
}
