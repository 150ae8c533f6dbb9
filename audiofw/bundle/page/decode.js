// Decode a file at its own sampling rate: browsers resample to the rate of the context that decodes.

const text = (bytes, at, n) => String.fromCharCode(...bytes.subarray(at, at + n));

function find(bytes, word) {
  const codes = [...word].map((c) => c.charCodeAt(0));
  const last = Math.min(bytes.length, 65536) - codes.length;
  for (let i = 0; i < last; i++) if (codes.every((c, k) => bytes[i + k] === c)) return i;
  return -1;
}

// The sampling rate in the header of a wav, flac, ogg or mp3 file; undefined for others.
export function rateOf(buffer) {
  const bytes = new Uint8Array(buffer), view = new DataView(buffer);
  const kind = text(bytes, 0, 4);
  let at;
  if (kind === "RIFF" && (at = find(bytes, "fmt ")) > 0) return view.getUint32(at + 12, true);
  if (kind === "fLaC") return (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4);
  if (kind === "OggS") {
    if ((at = find(bytes, "\x01vorbis")) > 0) return view.getUint32(at + 12, true);
    if (find(bytes, "OpusHead") > 0) return 48000;
    if ((at = find(bytes, "fLaC")) > 0) return (bytes[at + 18] << 12) | (bytes[at + 19] << 4) | (bytes[at + 20] >> 4);
  }
  at = kind.startsWith("ID3") ? 10 + bytes.subarray(6, 10).reduce((n, b) => n * 128 + b, 0) : 0;
  for (const end = Math.min(at + 8192, bytes.length - 4); at < end; at++) {
    if (bytes[at] === 255 && (bytes[at + 1] & 0xe0) === 0xe0 && (bytes[at + 1] & 6) && (bytes[at + 2] >> 4) < 15) {
      const rate = [44100, 48000, 32000][(bytes[at + 2] >> 2) & 3];
      return rate && rate / [4, 0, 2, 1][(bytes[at + 1] >> 3) & 3];
    }
  }
  return undefined;
}

export async function decode(buffer) {
  const rate = rateOf(buffer);
  const usable = rate >= 8000 && rate <= 96000 ? rate : 48000; // what every browser's context can have
  const sound = await new OfflineAudioContext(1, 1, usable).decodeAudioData(buffer);
  return { y: mono(sound), rate: usable };
}

// The mean of the channels; or the loudest, if they cancel each other.
export function mono(sound) {
  const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i));
  if (channels.length === 1) return channels[0];
  const mix = channels[0].map((_, i) => channels.reduce((sum, y) => sum + y[i], 0) / channels.length);
  const power = (y) => y.reduce((sum, value) => sum + value * value, 0);
  const powers = channels.map(power), most = Math.max(...powers);
  return power(mix) < 0.01 * most ? channels[powers.indexOf(most)] : mix;
}
