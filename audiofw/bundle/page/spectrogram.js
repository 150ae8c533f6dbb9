// A spectrogram on a canvas: frequency upwards, 80 dB from black to the brightest colour.

const SIZE = 512, RANGE = 80;

function transform(re, im) {
  for (let i = 1, j = 0; i < SIZE; i++) {
    let bit = SIZE >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [re[i], re[j]] = [re[j], re[i]];
  }
  for (let n = 2; n <= SIZE; n *= 2) {
    for (let k = 0; k < n / 2; k++) {
      const c = Math.cos((-2 * Math.PI * k) / n), s = Math.sin((-2 * Math.PI * k) / n);
      for (let i = k; i < SIZE; i += n) {
        const j = i + n / 2, a = re[j] * c - im[j] * s, b = re[j] * s + im[j] * c;
        re[j] = re[i] - a; im[j] = im[i] - b; re[i] += a; im[i] += b;
      }
    }
  }
}

export function draw(canvas, y) {
  const { width, height } = canvas, context = canvas.getContext("2d"), levels = [];
  let loudest = -Infinity;
  for (let x = 0; x < width; x++) {
    const first = Math.round((x * Math.max(0, y.length - SIZE)) / width);
    const re = Float64Array.from({ length: SIZE }, (_, i) => (y[first + i] ?? 0) * Math.sin((Math.PI * i) / SIZE) ** 2);
    const im = new Float64Array(SIZE);
    transform(re, im);
    const column = Array.from({ length: SIZE / 2 }, (_, i) => 10 * Math.log10(re[i] ** 2 + im[i] ** 2 + 1e-12));
    loudest = Math.max(loudest, ...column);
    levels.push(column);
  }
  const image = context.createImageData(width, height);
  for (let x = 0; x < width; x++) {
    for (let row = 0; row < height; row++) {
      const level = levels[x][Math.floor(((height - 1 - row) * (SIZE / 2)) / height)];
      const v = Math.max(0, 1 + (level - loudest) / RANGE), at = 4 * (row * width + x);
      image.data.set([255 * Math.min(1, 1.6 * v), 255 * v * v, 255 * (0.35 * v + 0.65 * v ** 6), 255], at);
    }
  }
  context.putImageData(image, 0, 0);
}
