// Which channels are mixed, as in emovox (src/emovox/audio/channels.py).
import type { Block } from "./decode";

/** Channels correlated at most this much are of opposite phase: their mean would cancel out. */
const OPPOSITE = -0.5;
/** Channels correlated less than this hold different sound. */
const SAME = 0.5;

/** Measures level and similarity of channels, block by block. */
export class ChannelSurvey {
  private peaks: number[] = [];
  private sums: number[] = [];
  private products: number[][] = [];
  private n = 0;

  push(block: Block): void {
    for (let i = this.peaks.length; i < block.length; i++) {
      this.peaks.push(0);
      this.sums.push(0);
      this.products.forEach((row) => row.push(0));
      this.products.push(new Array(block.length).fill(0));
    }
    this.n += block[0].length;
    block.forEach((a, i) => {
      for (const x of a) {
        this.peaks[i] = Math.max(this.peaks[i], Math.abs(x));
        this.sums[i] += x;
      }
      for (let j = i; j < block.length; j++) {
        const b = block[j];
        let sum = 0;
        for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
        this.products[i][j] += sum;
        if (j !== i) this.products[j][i] += sum;
      }
    });
  }

  /** Return the channels that are not silent, those of opposite phase, and those that differ. */
  conclude(silencePeak: number): { loud: number[]; opposite: number[]; different: number[] } {
    const covariance = (i: number, j: number) =>
      this.products[i][j] - (this.sums[i] * this.sums[j]) / Math.max(this.n, 1);
    const channels = this.peaks.map((_, i) => i);
    const variances = channels.map((i) => Math.max(0, covariance(i, i)));
    const strongest = variances.indexOf(Math.max(...variances));
    const correlations = channels.map((i) => {
      // Rounding leaves a little variance in a constant channel.
      if (variances[i] <= 1e-12 * this.products[i][i]) return 0;
      return covariance(strongest, i) / Math.sqrt(variances[i] * variances[strongest]);
    });
    const loud = channels.filter((i) => this.peaks[i] >= silencePeak);
    return {
      loud,
      opposite: channels.filter((i) => correlations[i] <= OPPOSITE),
      different: loud.filter((i) => Math.abs(correlations[i]) < SAME),
    };
  }
}

/** Average channels; each counts 1, -1 to invert it, or 0 to leave it out. */
export function mixChannels(block: Block, signs: number[]): Float32Array {
  const used = block.map((channel, i) => ({ channel, sign: signs[i] ?? 0 })).filter((c) => c.sign);
  const mixed = new Float32Array(block[0].length);
  for (let k = 0; k < mixed.length; k++) {
    let sum = 0;
    for (const { channel, sign } of used) sum += sign * channel[k];
    mixed[k] = sum / used.length;
  }
  return mixed;
}
