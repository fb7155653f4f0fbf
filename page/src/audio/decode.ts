// Decoding, part by part, so that an hour of sound is never in memory as a whole.
import { ALL_FORMATS, AudioSampleSink, BlobSource, Input, type InputAudioTrack } from "mediabunny";

/** Samples of each channel, all of one length. */
export type Block = Float32Array[];

export interface Decoded {
  rateHz: number;
  channels: Float32Array[];
}

/** A recording that can be read several times. */
export interface Recording {
  /** Null until the first block has been read. */
  durationS: number | null;
  blocks(): AsyncGenerator<{ rateHz: number; block: Block }>;
  close(): void;
}

/** The format is known, but this browser's decoder for workers does not have it. */
export class NoDecoderError extends Error {
  constructor(readonly rateHz: number) {
    super("this browser cannot decode the recording piece by piece");
  }
}

export class UnsupportedError extends Error {}

/** Open a recording; finds its format by its content. */
export async function openRecording(source: Blob | Decoded): Promise<Recording> {
  return source instanceof Blob ? openFile(source) : openDecoded(source);
}

async function openFile(file: Blob): Promise<Recording> {
  if (file.size === 0) throw new UnsupportedError("The file is empty. Record it again.");
  const input = new Input({ source: new BlobSource(file), formats: ALL_FORMATS });
  let track: InputAudioTrack | null;
  try {
    track = await input.getPrimaryAudioTrack();
  } catch {
    input.dispose();
    throw new UnsupportedError(
      "This is no recording that a browser can read. Use WAV, MP3, M4A, MP4, Ogg, Opus, FLAC or " +
        "WebM.",
    );
  }
  if (track === null) {
    input.dispose();
    throw new UnsupportedError("The file has no sound. Choose another.");
  }
  if (!(await track.canDecode())) {
    const rateHz = await track.getSampleRate();
    input.dispose();
    throw new NoDecoderError(rateHz);
  }
  const sink = new AudioSampleSink(track);
  return {
    durationS: await input.getDurationFromMetadata([track]),
    async *blocks() {
      let rateHz = 0;
      for await (const sample of sink.samples()) {
        rateHz ||= sample.sampleRate;
        if (sample.sampleRate !== rateHz) {
          throw new UnsupportedError(
            `The sampling rate changes from ${rateHz} to ${sample.sampleRate} Hz. Convert it first.`,
          );
        }
        // What a codec needs to start is before 0, and is not part of the recording.
        const skipped = Math.min(
          sample.numberOfFrames,
          Math.max(0, Math.round(-sample.timestamp * sample.sampleRate)),
        );
        const n = sample.numberOfFrames - skipped;
        const block = Array.from({ length: sample.numberOfChannels }, (_, planeIndex) => {
          const plane = new Float32Array(n);
          if (n) {
            const options = { planeIndex, format: "f32-planar", frameOffset: skipped } as const;
            sample.copyTo(plane, options);
          }
          return plane;
        });
        sample.close();
        if (n) yield { rateHz, block };
      }
    },
    close: () => input.dispose(),
  };
}

function openDecoded({ rateHz, channels }: Decoded): Recording {
  const n = channels[0].length;
  return {
    durationS: n / rateHz,
    async *blocks() {
      for (let at = 0; at < n; at += rateHz) {
        yield { rateHz, block: channels.map((channel) => channel.slice(at, at + rateHz)) };
      }
    },
    close: () => {},
  };
}
