// Resampling with the filter that audiofw's resampler has: cubic B-splines of its impulse response, see kernels.py.

const gcd = (a, b) => (b ? gcd(b, a % b) : a);

// The kernel that was measured for a rate, or for the nearest one that is no simple fraction of the target.
function kernelOf(kernels, from, to) {
  if (kernels.of[from]) return kernels.of[from];
  const far = (rate) => Math.abs(Math.log(rate / from)) + (kernels.of[rate].step > 1 / 16 ? 100 : 0);
  return kernels.of[Object.keys(kernels.of).sort((a, b) => far(a) - far(b))[0]];
}

function response(kernel, reach, t) {
  const u = (t + reach) / kernel.step;
  const i = Math.floor(u), f = u - i, c = kernel.coefficients;
  if (i < 0 || i + 3 >= c.length) return 0;
  const g = 1 - f;
  return (g * g * g * c[i] + (3 * f * f * f - 6 * f * f + 4) * c[i + 1]
    + (3 * g * g * g - 6 * g * g + 4) * c[i + 2] + f * f * f * c[i + 3]) / 6;
}

export function resample(y, from, to, kernels) {
  if (from === to) return y;
  const common = gcd(from, to), up = to / common, down = from / common;
  const scale = Math.min(1, to / from), kernel = kernelOf(kernels, from, to);
  const half = Math.ceil(kernels.reach / scale), size = Math.ceil(y.length * (to / from));
  const phases = new Map(), out = new Float32Array(size);
  const tapsOf = (phase) => {
    const taps = new Float64Array(2 * half + 1);
    for (let k = -half; k <= half; k++) taps[k + half] = scale * response(kernel, kernels.reach, (phase / up - k) * scale);
    phases.set(phase, taps);
    return taps;
  };
  for (let i = 0; i < size; i++) {
    const place = i * down, phase = place % up, first = (place - phase) / up - half;
    const taps = phases.get(phase) ?? tapsOf(phase);
    let sum = 0;
    for (let k = Math.max(0, -first), end = Math.min(taps.length, y.length - first); k < end; k++) sum += taps[k] * y[first + k];
    out[i] = sum;
  }
  return out;
}
