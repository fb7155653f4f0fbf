// Rounding as in Python.

/** Round to the nearest integer, halves to the even one. */
export function roundEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

export function roundTo6(x: number): number {
  return roundEven(x * 1e6) / 1e6;
}
