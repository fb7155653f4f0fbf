// The signals of the golden vectors, made by formula: docs/runtime.md, "Golden vectors".
import { roundEven } from "../src/recognition/numbers";

export interface Signal {
  duration_s: number;
  room: number;
  parts: { start_s: number; duration_s: number; pitch: number; gain: number }[];
}

export function makeSignal(signal: Signal, rateHz: number): Float32Array {
  const samples = makeNoise(roundEven(signal.duration_s * rateHz)).map((x) => signal.room * x);
  for (const part of signal.parts) {
    const first = roundEven(part.start_s * rateHz);
    const voice = makeVoice(roundEven(part.duration_s * rateHz), rateHz, part.pitch);
    voice.forEach((x, i) => (samples[first + i] += part.gain * x));
  }
  return Float32Array.from(samples);
}

function makeNoise(n: number): Float64Array {
  let s = 1;
  return new Float64Array(n).map(() => {
    s = Number((1664525n * BigInt(s) + 1013904223n) % 4294967296n);
    return s / 2 ** 31 - 1;
  });
}

function makeVoice(n: number, rateHz: number, f: number): Float64Array {
  const turn = 2 * Math.PI;
  return new Float64Array(n).map((_, i) => {
    const t = i / rateHz;
    const pitch = f * (1 + 0.15 * Math.sin(turn * 0.7 * t));
    const phase = turn * f * t - ((0.15 * f) / 0.7) * (Math.cos(turn * 0.7 * t) - 1);
    const formants = [
      [500 + 200 * Math.sin(turn * 1.3 * t), 80, 1],
      [1500 + 400 * Math.sin(turn * 0.9 * t), 120, 0.5],
      [2500, 160, 0.25],
    ];
    let total = 0;
    let sine = Math.sin(phase), before = 0; // of k and k - 1 times the phase
    const twice = 2 * Math.cos(phase);
    for (let k = 1; k <= 30; k++) {
      let gain = 0;
      for (const [centre, width, weight] of formants) {
        gain += weight / (1 + ((k * pitch - centre) / width) ** 2);
      }
      total += gain * sine;
      [sine, before] = [twice * sine - before, sine];
    }
    return 0.1 * Math.min(1, Math.max(0, 0.6 + 0.9 * Math.sin(turn * 4 * t))) * total;
  });
}
