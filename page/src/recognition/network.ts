// The two networks, on ONNX Runtime's WebAssembly build with one thread.
import * as ort from "onnxruntime-web/wasm";
import { requireReference } from "./modelFile";
import type { Score } from "./timeline";
import type { ReferenceRule } from "./rules";
import type { SpeechNetwork } from "./voiceActivity";

// More threads would need headers that make a page cross-origin isolated.
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

/** Say where the .wasm file is; Node finds it by itself. */
export function locateRuntime(url: string): void {
  ort.env.wasm.wasmPaths = { wasm: url };
}

/** A speaker's reference: what an embedding is compared with, and how much it counts. */
export interface Reference {
  embedding: Float32Array;
  weight: number;
  /** What is known of its labels: the share of each. */
  labels: Float32Array;
}

export class EmotionNetwork {
  reference: Reference | null = null;

  private constructor(
    private readonly session: ort.InferenceSession,
    private readonly rule: ReferenceRule | null,
  ) {}

  static async open(content: Uint8Array, rule: ReferenceRule | null): Promise<EmotionNetwork> {
    const model = rule ? requireReference(content, ["reference", "reference_weight", "reference_labels"]) : content;
    return new EmotionNetwork(await ort.InferenceSession.create(model), rule);
  }

  /** Return the probabilities of a window. */
  readonly score: Score = async (samples) => {
    const { probabilities } = await this.run(samples, this.reference, ["probabilities"]);
    const values = Array.from(probabilities.data as Float32Array);
    const sum = values.reduce((a, b) => a + b, 0);
    if (!(sum > 0 && Number.isFinite(sum))) {
      throw new Error(`the model returned ${values.join(", ")}; expected probabilities`);
    }
    return values.map((value) => value / sum);
  };

  /** Return the embedding of a window. */
  async embed(samples: Float32Array): Promise<Float32Array> {
    const { embedding } = await this.run(samples, null, ["embedding"]);
    return embedding.data as Float32Array;
  }

  private run(samples: Float32Array, reference: Reference | null, outputs: string[]) {
    const feeds: Record<string, ort.Tensor> = {
      waveform: new ort.Tensor("float32", samples, [1, samples.length]),
    };
    if (this.rule) {
      const n = this.rule.features;
      const embedding = reference?.embedding ?? new Float32Array(n);
      feeds.reference = new ort.Tensor("float32", embedding, [1, n]);
      const weight = Float32Array.of(reference?.weight ?? 0);
      feeds.reference_weight = new ort.Tensor("float32", weight, [1]);
      const labels = reference?.labels ?? new Float32Array(this.rule.labels);
      feeds.reference_labels = new ort.Tensor("float32", labels, [1, this.rule.labels]);
    }
    return this.session.run(feeds, outputs);
  }
}

export async function openSpeechNetwork(content: Uint8Array): Promise<SpeechNetwork> {
  const session = await ort.InferenceSession.create(content);
  return async (rows, nFrames, { h, c }) => {
    const out = await session.run({
      input: new ort.Tensor("float32", rows, [nFrames, rows.length / nFrames]),
      h: new ort.Tensor("float32", h, [1, 1, 128]),
      c: new ort.Tensor("float32", c, [1, 1, 128]),
    });
    return {
      probabilities: out.speech_probs.data as Float32Array,
      state: { h: out.hn.data as Float32Array, c: out.cn.data as Float32Array },
    };
  };
}
