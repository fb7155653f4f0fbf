// One recording, from its file to predictions.
import { ChannelSurvey, mixChannels } from "../audio/channels";
import type { Recording } from "../audio/decode";
import { UnsupportedError } from "../audio/decode";
import { concatenate, Resampler } from "../audio/resample";
import { type Analysis, PEAKS_PER_S } from "../messages";
import type { EmotionNetwork } from "./network";
import type { Prediction } from "./results";
import type { ModelDescription } from "./rules";
import { Timeline } from "./timeline";
import { SpeechDetector, type SpeechNetwork } from "./voiceActivity";

/** 20 dB above full scale: higher peaks are integers that were not scaled. */
const MAX_PEAK = 10;
/** More channels are mixed without searching each for speech. */
const MAX_SEARCHED_CHANNELS = 8;
const MIN_SPEECH_FRAMES = 8;

export interface Networks {
  model: ModelDescription;
  emotion: EmotionNetwork;
  speech: SpeechNetwork;
}

/** Called now and then; throws to stop. */
export type OnProgress = (doneS: number, totalS: number | null) => Promise<void>;

export async function analyse(
  recording: Recording,
  networks: Networks,
  predict: boolean,
  onProgress: OnProgress,
): Promise<Analysis> {
  const rateHz = networks.model.sample_rate_hz;
  const { signs, notes } = await chooseChannels(recording, networks, onProgress);
  const timeline = new Timeline(networks.model, networks.speech, networks.emotion.score);
  const peaks = new PeakMeter();
  const hops: Prediction[] = [];
  let resampler: Resampler | null = null;
  let nSamples = 0;
  const follow = async (samples: Float32Array) => {
    nSamples += samples.length;
    if (!predict || !samples.length) return;
    for await (const found of timeline.push(samples)) {
      hops.push(...found);
      await onProgress(nSamples / rateHz, recording.durationS);
    }
  };
  let waiting: Float32Array[] = [], nWaiting = 0;
  for await (const { rateHz: foundHz, block } of recording.blocks()) {
    resampler ??= new Resampler(foundHz, rateHz);
    const mono = mixChannels(block, signs ?? block.map(() => 1));
    checkSamples(mono);
    peaks.push(mono, foundHz);
    waiting.push(mono);
    nWaiting += mono.length;
    if (nWaiting < foundHz) continue; // a second at a time
    await follow(resampler.push(concatenate(waiting)));
    waiting = [];
    nWaiting = 0;
    await onProgress(nSamples / rateHz, recording.durationS);
  }
  if (resampler === null) throw new UnsupportedError("The file has no sound. Choose another.");
  await follow(resampler.push(concatenate(waiting)));
  await follow(resampler.finish());
  if (predict) for await (const found of timeline.finish()) hops.push(...found);
  return { hops, peaks: peaks.finish(), durationS: nSamples / rateHz, notes };
}

/** Choose the channels of a mix: leave out those without speech, and invert opposite ones. */
async function chooseChannels(
  recording: Recording,
  networks: Networks,
  onProgress: OnProgress,
): Promise<{ signs: number[] | null; notes: string[] }> {
  const survey = new ChannelSurvey();
  let n = 0;
  for await (const { block } of recording.blocks()) {
    if (block.length === 1) return { signs: null, notes: [] };
    survey.push(block);
    n = block.length;
    await onProgress(0, recording.durationS);
  }
  if (n === 0) return { signs: null, notes: [] };
  const { loud, opposite, different } = survey.conclude(networks.model.rules.silence_peak);
  const signs: number[] = Array.from({ length: n }, (_, i) => (opposite.includes(i) ? -1 : 1));
  const notes: string[] = [];
  if (opposite.length) {
    notes.push(
      `${nameChannels(opposite)} of opposite phase to the loudest and inverted before mixing`,
    );
  }
  if (different.length && loud.length <= MAX_SEARCHED_CHANNELS) {
    const spoken: number[] = [];
    for (const i of loud) {
      if (await hasSpeech(recording, i, networks, onProgress)) spoken.push(i);
    }
    const silent = loud.filter((i) => !spoken.includes(i));
    if (spoken.length && silent.length) {
      silent.forEach((i) => (signs[i] = 0));
      notes.push(`${nameChannels(silent)} left out, since no speech was detected there`);
    }
    if (spoken.length > 1) notes.push("the channels hold different speech and were mixed");
  }
  return { signs, notes };
}

async function hasSpeech(
  recording: Recording,
  channel: number,
  { model, speech }: Networks,
  onProgress: OnProgress,
): Promise<boolean> {
  const { speech_probability } = model.rules.spans;
  const detector = new SpeechDetector(model.rules, speech);
  let resampler: Resampler | null = null;
  const isEnough = (found: Float32Array) =>
    found.filter((p) => p >= speech_probability).length >= MIN_SPEECH_FRAMES;
  for await (const { rateHz, block } of recording.blocks()) {
    resampler ??= new Resampler(rateHz, model.sample_rate_hz);
    for await (const found of detector.push(resampler.push(block[channel]))) {
      if (isEnough(found)) return true;
      await onProgress(0, recording.durationS);
    }
  }
  if (resampler) for await (const found of detector.push(resampler.finish())) {
    if (isEnough(found)) return true;
  }
  for await (const found of detector.finish()) if (isEnough(found)) return true;
  return false;
}

function nameChannels(indices: number[]): string {
  const numbers = indices.map((i) => i + 1).join(", ");
  return indices.length === 1 ? `channel ${numbers} was` : `channels ${numbers} were`;
}

function checkSamples(samples: Float32Array): void {
  for (const x of samples) {
    if (!(Math.abs(x) <= MAX_PEAK)) {
      throw new UnsupportedError(
        `The recording has a sample of ${x}; expected -1 to 1. It is damaged, or was not scaled.`,
      );
    }
  }
}

/** Keeps the peak of each hundredth of a second. */
class PeakMeter {
  private peaks: number[] = [];
  private nSamples = 0;

  push(samples: Float32Array, rateHz: number): void {
    for (const x of samples) {
      const at = Math.floor((this.nSamples++ * PEAKS_PER_S) / rateHz);
      const peak = Math.abs(x);
      if (at === this.peaks.length) this.peaks.push(peak);
      else if (peak > this.peaks[at]) this.peaks[at] = peak;
    }
  }

  finish(): Float32Array {
    return Float32Array.from(this.peaks);
  }
}
