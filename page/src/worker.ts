// Decodes and predicts in the background, so that the page stays responsive.
import { NoDecoderError, openRecording, UnsupportedError } from "./audio/decode";
import { concatenate, Resampler } from "./audio/resample";
import type { Reply, Request, Source } from "./messages";
import { analyse, type Networks } from "./recognition/analyse";
import { LiveTrace } from "./recognition/live";
import { EmotionNetwork, locateRuntime, openSpeechNetwork } from "./recognition/network";
import { checkDescription, type ModelDescription } from "./recognition/rules";

const ENROL_S = 6;
/** An embedding of less is mostly noise. */
const MIN_SENTENCE_S = 0.6;

let networks: Networks | null = null;
let live: LiveTrace | null = null;
let enrolled: Float32Array[] = [];
let enrolledS = 0;
const cancelled = new Set<number>();
class Cancelled extends Error {}

/** Jobs one after the other; updates of a live recording come in between. */
let jobs: Promise<void> = Promise.resolve();
let liveJobs: Promise<void> = Promise.resolve();
let nLiveWaiting = 0;
/** Batches of samples; if more are waiting, the device is too slow, and updates are left out. */
const MAX_LIVE_WAITING = 10;

function reply(message: Reply, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}

self.onmessage = ({ data }: MessageEvent<Request>) => {
  if (data.kind === "cancel") cancelled.add(data.id);
  else if (data.kind === "live samples" || data.kind === "end live") {
    nLiveWaiting += 1;
    liveJobs = liveJobs.then(() => breathe()).then(() => {
      nLiveWaiting -= 1;
      return followLive(data);
    });
  } else {
    jobs = jobs.then(() => work(data));
  }
};

async function work(request: Request): Promise<void> {
  if (request.kind === "open") {
    try {
      networks = await open(request.base, request.runtime);
      reply({ kind: "opened", model: networks.model });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      reply({ kind: "not opened", message });
    }
  } else if (request.kind === "begin live" && networks) {
    live = new LiveTrace(networks, request.rateHz);
  } else if (request.kind === "forget voice" && networks) {
    networks.emotion.reference = null;
    enrolled = [];
    enrolledS = 0;
  } else if (request.kind === "analyse" || request.kind === "enrol") {
    try {
      if (request.kind === "analyse") await analyseSource(request.id, request.source, request.predict);
      else await enrol(request.id, request.source);
    } catch (error) {
      if (error instanceof NoDecoderError) {
        reply({ kind: "needs decoding", id: request.id, rateHz: error.rateHz });
      } else if (!(error instanceof Cancelled)) {
        reply({ kind: "failed", id: request.id, message: describe(error) });
      }
    }
    cancelled.delete(request.id);
  }
}

async function followLive(request: Request): Promise<void> {
  if (request.kind === "end live") live = null;
  if (request.kind !== "live samples" || live === null) return;
  const updates = await live.push(request.samples, nLiveWaiting > MAX_LIVE_WAITING);
  for (const update of updates) reply({ kind: "live", update });
}

async function open(base: string, runtime: string): Promise<Networks> {
  locateRuntime(runtime);
  const response = await fetchFile(new URL("model.json", base));
  const model = checkDescription((await response.json()) as ModelDescription);
  const [emotion, speech] = await Promise.all([
    fetchChecked(base, "model.onnx", model).then((content) =>
      EmotionNetwork.open(content, model.reference),
    ),
    fetchChecked(base, "silero_vad.onnx", model).then(openSpeechNetwork),
  ]);
  return { model, emotion, speech };
}

async function fetchFile(url: URL): Promise<Response> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.pathname} cannot be loaded (${response.status})`);
  return response;
}

async function fetchChecked(
  base: string,
  name: keyof ModelDescription["files"],
  model: ModelDescription,
): Promise<Uint8Array> {
  // The hash in the address keeps an earlier model in a cache from being taken for this one.
  const { bytes, sha256 } = model.files[name];
  const url = new URL(`${name}?${sha256.slice(0, 16)}`, base);
  const content = new Uint8Array(await (await fetchFile(url)).arrayBuffer());
  if (content.length !== bytes) {
    throw new Error(`${name} has ${content.length} bytes, expected ${bytes}; write the page again`);
  }
  return content;
}

/** Let messages arrive, such as those of a live recording. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

async function analyseSource(id: number, source: Source, predict: boolean): Promise<void> {
  if (!networks) throw new Error("the model is not loaded");
  const recording = await openRecording(source);
  let reportedAt = 0;
  try {
    const analysis = await analyse(recording, networks, predict, async (doneS, totalS) => {
      if (performance.now() - reportedAt < 100) return;
      reportedAt = performance.now();
      reply({ kind: "progress", id, doneS, totalS });
      await breathe();
      if (cancelled.has(id)) throw new Cancelled();
    });
    reply({ kind: "analysed", id, analysis }, [analysis.peaks.buffer as ArrayBuffer]);
  } finally {
    recording.close();
  }
}

async function enrol(id: number, source: Source): Promise<void> {
  const rule = networks?.model.reference;
  if (!networks || !rule) throw new Error("This model takes no voice.");
  const { model, emotion } = networks;
  const recording = await openRecording(source);
  const blocks: Float32Array[] = [];
  let resampler: Resampler | null = null;
  for await (const { rateHz, block } of recording.blocks()) {
    resampler ??= new Resampler(rateHz, model.sample_rate_hz);
    blocks.push(resampler.push(block[0]));
  }
  if (resampler) blocks.push(resampler.finish());
  const samples = concatenate(blocks).slice(0, ENROL_S * model.sample_rate_hz);
  let speechS = 0;
  const found = await analyse(
    await openRecording({ rateHz: model.sample_rate_hz, channels: [samples] }),
    networks,
    true,
    async () => {},
  );
  for (const hop of found.hops) if (hop.scores) speechS += hop.end_s - hop.start_s;
  if (speechS < MIN_SENTENCE_S) {
    throw new UnsupportedError(
      "Too little speech was detected. Say a whole sentence in your normal voice, near the microphone.",
    );
  }
  enrolled.push(await emotion.embed(samples));
  enrolledS += speechS;
  if (enrolledS < rule.min_speech_s) {
    throw new UnsupportedError(
      `${enrolledS.toFixed(1)} s of speech so far, ${rule.min_speech_s} s are needed: say another ` +
        "sentence.",
    );
  }
  const mean = new Float32Array(rule.features);
  for (const embedding of enrolled) embedding.forEach((x, i) => (mean[i] += x / enrolled.length));
  const n = enrolled.length;
  emotion.reference = {
    embedding: mean,
    weight: (rule.neutral_weight * n) / (n + rule.neutral_prior),
    labels: Float32Array.from(model.labels, (l) => (l === "neutral" ? rule.neutral_known : 0)),
  };
  reply({ kind: "enrolled", id, recordings: n });
}

function describe(error: unknown): string {
  if (error instanceof UnsupportedError) return error.message;
  const reason = error instanceof Error ? error.message : String(error);
  return `The recording cannot be decoded to its end (${reason}). Convert it to WAV or MP3.`;
}
