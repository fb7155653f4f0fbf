// Resampling by a windowed sinc, block by block: docs/runtime.md, "Samples".

// The filter of soxr's "HQ" for 48 to 16 kHz, to 1e-6: fitted to its impulse response.
/** Cutoff as a share of the lower Nyquist frequency. */
const CUTOFF = 0.9568718;
/** Shape of the Kaiser window, and half its length in samples at the lower rate. */
const BETA = 13.0402705;
const HALF = 96.8341722;
/** More phases than this are interpolated between this many. */
const MAX_PHASES = 1024;

/** Polyphase resampler with linear phase and no delay; outside the recording is silence. */
export class Resampler {
  private readonly up: number;
  private readonly down: number;
  private readonly half: number;
  private readonly taps: number;
  private readonly phases: number;
  private readonly table: Float64Array;
  private held: Float32Array;
  private heldFrom: number; // index of held[0] in the input
  private nRead = 0;
  private nOut = 0;

  constructor(
    private readonly fromHz: number,
    private readonly toHz: number,
  ) {
    const divisor = greatestDivisor(fromHz, toHz);
    this.up = toHz / divisor;
    this.down = fromHz / divisor;
    const share = Math.min(1, toHz / fromHz);
    this.half = Math.ceil(HALF / share);
    this.taps = 2 * this.half;
    this.phases = Math.min(this.up, MAX_PHASES);
    this.table = makeTable(this.half, this.phases, share);
    this.held = new Float32Array(this.half);
    this.heldFrom = -this.half;
  }

  /** Take samples, and return those that are complete at the new rate. */
  push(samples: Float32Array): Float32Array {
    if (this.fromHz === this.toHz) return samples;
    this.nRead += samples.length;
    this.hold(samples);
    // The last output whose taps are all held.
    const last = this.heldFrom + this.held.length - 1 - this.half;
    const end = Math.max(this.nOut, Math.floor(((last + 1) * this.up - 1) / this.down) + 1);
    return this.compute(end);
  }

  /** Return the rest after the last samples. */
  finish(): Float32Array {
    if (this.fromHz === this.toHz) return new Float32Array(0);
    this.hold(new Float32Array(this.half + Math.ceil(this.down / this.up) + 1));
    return this.compute(Math.floor((this.nRead * this.up) / this.down + 0.5));
  }

  private hold(samples: Float32Array): void {
    const at = Math.floor((this.nOut * this.down) / this.up) - this.half;
    const drop = Math.max(0, Math.min(this.held.length, at - this.heldFrom));
    const joined = new Float32Array(this.held.length - drop + samples.length);
    joined.set(this.held.subarray(drop));
    joined.set(samples, this.held.length - drop);
    this.held = joined;
    this.heldFrom += drop;
  }

  private compute(end: number): Float32Array {
    const { held, taps, table, up, down, phases } = this;
    const out = new Float32Array(Math.max(0, end - this.nOut));
    for (let n = 0; n < out.length; n++) {
      const position = (this.nOut + n) * down;
      const whole = Math.floor(position / up);
      const first = whole - this.half + 1 - this.heldFrom;
      const phase = ((position - whole * up) * phases) / up;
      const row = Math.floor(phase);
      let sum = dot(held, first, table, row * taps, taps);
      const between = phase - row;
      if (between) {
        sum += between * (dot(held, first, table, (row + 1) * taps, taps) - sum);
      }
      out[n] = sum;
    }
    this.nOut += out.length;
    return out;
  }
}

/** Resample a whole recording. */
export function resample(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  if (fromHz === toHz) return samples;
  const resampler = new Resampler(fromHz, toHz);
  return concatenate([resampler.push(samples), resampler.finish()]);
}

/** Join blocks. */
export function concatenate(blocks: Float32Array[]): Float32Array {
  const joined = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    joined.set(block, at);
    at += block.length;
  }
  return joined;
}

function dot(
  x: Float32Array,
  at: number,
  weights: Float64Array,
  from: number,
  taps: number,
): number {
  // Four sums, because each addition would otherwise wait for the one before it.
  let a = 0, b = 0, c = 0, d = 0, k = 0;
  for (; k + 3 < taps; k += 4) {
    a += x[at + k] * weights[from + k];
    b += x[at + k + 1] * weights[from + k + 1];
    c += x[at + k + 2] * weights[from + k + 2];
    d += x[at + k + 3] * weights[from + k + 3];
  }
  for (; k < taps; k++) a += x[at + k] * weights[from + k];
  return a + b + (c + d);
}

const tables = new Map<string, Float64Array>();
/** Return the filter's taps for each phase, (phases + 1, taps); each row sums to 1. */
function makeTable(half: number, phases: number, share: number): Float64Array {
  const key = `${phases} ${share}`;
  const known = tables.get(key);
  if (known) return known;
  const taps = 2 * half;
  const scale = 1 / besselI0(BETA);
  const table = new Float64Array((phases + 1) * taps);
  for (let phase = 0; phase <= phases; phase++) {
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      const u = phase / phases + half - 1 - k; // from the tap to the output, in input samples
      const inside = 1 - ((u * share) / HALF) ** 2;
      const window = inside > 0 ? besselI0(BETA * Math.sqrt(inside)) * scale : 0;
      const x = Math.PI * CUTOFF * share * u; // the sinc's argument
      const weight = window * (u === 0 ? 1 : Math.sin(x) / x);
      table[phase * taps + k] = weight;
      sum += weight;
    }
    for (let k = 0; k < taps; k++) table[phase * taps + k] /= sum;
  }
  tables.set(key, table);
  return table;
}

function besselI0(x: number): number {
  let sum = 1, term = 1;
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
