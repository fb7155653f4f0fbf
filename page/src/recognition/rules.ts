// What model.json says: the model, and the numbers that docs/runtime.md refers to.

export interface Rules {
  version: number;
  silence_peak: number;
  voice_activity: {
    rate_hz: number;
    frame_samples: number;
    context_samples: number;
    lowest_hz: number;
    attack_s: number;
    release_s: number;
    min_level_rms: number;
    level_rms: number;
  };
  spans: {
    speech_probability: number;
    pause_probability: number;
    min_speech_s: number;
    min_silence_s: number;
    padding_s: number;
  };
  turns: { turn_pause_s: number; max_turn_s: number; look_back_s: number; kept_frames: number };
  windows: { window_s: number; window_hop_s: number; hop_s: number; smoothing: number[] };
  predictions: { too_short_s: number };
  stream: {
    blocks_per_s: number;
    update_hop_s: number;
    step_s: number;
    latest_weight: number;
    margin: number;
  };
}

export interface FileEntry {
  bytes: number;
  sha256: string;
}

/** How much the reference of a speaker counts, depending on what it was made from. */
export interface ReferenceRule {
  features: number;
  /** Speech that enrolment needs. */
  min_speech_s: number;
  neutral_prior: number;
  neutral_weight: number;
  /** Number of labels, and how far an enrolled voice counts as known to be neutral. */
  labels: number;
  neutral_known: number;
}

export interface ModelDescription {
  format: number;
  name: string;
  labels: string[];
  sample_rate_hz: number;
  min_confidence: number;
  licence: string;
  /** Null if the model takes no reference: then a voice cannot be enrolled. */
  reference: ReferenceRule | null;
  /** Whether the page comes from a server that predicts recordings, too. */
  service?: boolean;
  files: { "model.onnx": FileEntry; "silero_vad.onnx": FileEntry };
  rules: Rules;
}

export const FORMAT = 1;
export const RULES_VERSION = 1;

/** Refuse a description of another version: its rules would be applied wrongly. */
export function checkDescription(found: ModelDescription): ModelDescription {
  if (found.format !== FORMAT || found.rules?.version !== RULES_VERSION) {
    throw new Error(
      `model.json has format ${found.format} and rules ${found.rules?.version}; this page reads ` +
        `${FORMAT} and ${RULES_VERSION}: write the page again with the emovox of the model`,
    );
  }
  return found;
}
