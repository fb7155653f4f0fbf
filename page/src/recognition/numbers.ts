// Rounding as in Python, and measures of samples.

/** Round to the nearest integer, halves to the even one. */
export function roundEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

export function roundTo6(x: number): number {
  return roundEven(x * 1e6) / 1e6;
}

export function measureLevel(samples: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += samples[i] * samples[i];
  return Math.sqrt(sum / samples.length);
}

/** Return half the range, which is the peak without a constant offset. */
export function measurePeak(samples: Float32Array): number {
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < samples.length; i++) {
    const x = samples[i];
    if (x < low) low = x;
    if (x > high) high = x;
  }
  return samples.length ? (high - low) / 2 : 0;
}

export function mean(samples: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += samples[i];
  return samples.length ? sum / samples.length : 0;
}
