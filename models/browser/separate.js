// Separation chunk by chunk, as models/separation/stream.py: chunks overlap and are joined by triangular weights.
// Nothing holds the whole song: a source gives samples from anywhere, a sink takes pieces in order.

export function triangle(size) {
  const half = Math.ceil(size / 2);
  return Float32Array.from({ length: size }, (_, index) => Math.min(index + 1, size - index) / half);
}

// source: { length, read(start, stop) -> Promise of one Float32Array for each channel }.
// estimate(chunk, length) -> Promise of [stem][channel] Float32Arrays, from channels of that length.
// sink(pieces): [stem][channel] Float32Arrays; onProgress(samples done).
export async function separate(source, settings, rate, estimate, sink, onProgress) {
  const window = Math.max(1, roundHalfEven(settings.segment_s * rate));
  const hop = Math.max(1, roundHalfEven(window * (1 - settings.overlap)));
  const weights = triangle(window);
  let total = null; // sums of the weighted stems, and of the weights, from the start of the newest chunk on
  let gain = null;
  for (let start = 0; ; start += hop) {
    const stop = Math.min(start + window, source.length);
    const length = stop - start;
    const stems = await separateChunk(await source.read(start, stop), length, estimate);
    const weight = weights.slice(0, length);
    for (const channels of stems) {
      for (const samples of channels) for (let index = 0; index < length; index += 1) samples[index] *= weight[index];
    }
    if (total) {
      sink(divided(total, gain, hop));
      const shared = gain.length - hop;
      stems.forEach((channels, stem) => channels.forEach((samples, channel) => {
        for (let index = 0; index < shared; index += 1) samples[index] += total[stem][channel][hop + index];
      }));
      for (let index = 0; index < shared; index += 1) weight[index] += gain[hop + index];
    }
    total = stems;
    gain = weight;
    onProgress(stop);
    if (stop === source.length) break;
  }
  sink(divided(total, gain, gain.length));
}

function divided(total, gain, length) {
  return total.map((channels) => channels.map((samples) => samples.slice(0, length).map((x, index) => x / gain[index])));
}

// The network gets chunks with a peak of 1; a silent chunk does not go through it.
async function separateChunk(chunk, length, estimate) {
  let peak = 0;
  for (const samples of chunk) for (const value of samples) peak = Math.max(peak, Math.abs(value));
  if (!(peak < Infinity)) throw new Error('The song holds samples that are not numbers.');
  const scaled = chunk.map((samples) => samples.map((value) => value / (peak || 1)));
  const stems = await estimate(scaled, length, peak === 0);
  for (const channels of stems) for (const samples of channels) samples.forEach((x, index) => { samples[index] = x * peak; });
  return stems;
}

// The mean over delayed copies, and the residual's share; run(channels, length) -> Promise of the network's stems.
export async function averaged(run, chunk, length, facts) {
  const { shifts, residual } = facts.separate;
  const stems = await run(chunk, length);
  for (let shift = 1; shift < shifts; shift += 1) {
    const delay = Math.floor((shift * facts.hop) / shifts);
    const delayed = chunk.map((samples) => {
      const longer = new Float32Array(length + delay);
      longer.set(samples, delay);
      return longer;
    });
    (await run(delayed, length + delay)).forEach((channels, stem) => channels.forEach((samples, channel) => {
      const sum = stems[stem][channel];
      for (let index = 0; index < length; index += 1) sum[index] += samples[delay + index];
    }));
  }
  for (const channels of stems) for (const samples of channels) samples.forEach((x, index) => { samples[index] = x / shifts; });
  const other = facts.stems.indexOf('other');
  if (residual) {
    chunk.forEach((samples, channel) => samples.forEach((value, index) => {
      const left = value - stems.reduce((sum, channels) => sum + channels[channel][index], 0);
      stems[other][channel][index] += residual * left;
    }));
  }
  return stems;
}

// As Python's round().
function roundHalfEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}

const READERS = {
  '1/16': [2, (view, at) => view.getInt16(at, true) / 32768],
  '1/24': [3, (view, at) => ((view.getUint8(at) << 8 | view.getUint8(at + 1) << 16 | view.getInt8(at + 2) << 24) >> 8) / 8388608],
  '1/32': [4, (view, at) => view.getInt32(at, true) / 2147483648],
  '3/32': [4, (view, at) => view.getFloat32(at, true)],
};

// A wav file as a source, read piece by piece; null if it is not one that is read here.
export async function openWav(file, rate, numChannels) {
  const head = new DataView(await file.slice(0, 1 << 16).arrayBuffer());
  const name = (at) => String.fromCharCode(...new Uint8Array(head.buffer, at, 4));
  if (head.byteLength < 12 || name(0) !== 'RIFF' || name(8) !== 'WAVE') return null;
  let format = null;
  for (let at = 12; at + 8 <= head.byteLength;) {
    const size = head.getUint32(at + 4, true);
    if (name(at) === 'fmt ' && at + 24 <= head.byteLength) {
      const code = head.getUint16(at + 8, true);
      const extensible = code === 0xfffe && size >= 26;
      format = {
        code: extensible ? head.getUint16(at + 32, true) : code,
        channels: head.getUint16(at + 10, true),
        rate: head.getUint32(at + 12, true),
        bits: head.getUint16(at + 22, true),
      };
    } else if (name(at) === 'data' && format) {
      const [bytes, read] = READERS[`${format.code}/${format.bits}`] ?? [];
      if (!bytes || format.rate !== rate || (format.channels !== 1 && format.channels !== numChannels)) return null;
      const frame = bytes * format.channels;
      const first = at + 8;
      const length = Math.floor(Math.min(size, file.size - first) / frame);
      return {
        length,
        channels: format.channels,
        async read(start, stop) {
          const view = new DataView(await file.slice(first + start * frame, first + stop * frame).arrayBuffer());
          return Array.from({ length: numChannels }, (_, channel) => Float32Array.from({ length: stop - start },
            (__, index) => read(view, index * frame + (channel % format.channels) * bytes)));
        },
      };
    }
    at += 8 + size + (size % 2);
  }
  return null;
}

// Decoded channels as a source; mono is copied to all channels of the network.
export function openSamples(channels, numChannels) {
  return {
    length: channels[0].length,
    channels: channels.length,
    async read(start, stop) {
      return Array.from({ length: numChannels }, (_, index) => channels[index % channels.length].slice(start, stop));
    },
  };
}

// Collects pieces as a wav file of 16 bits. A blob may lie on the disk: the page's memory does not grow with it.
export class WavSink {
  constructor(numChannels, rate) {
    this.numChannels = numChannels;
    this.rate = rate;
    this.parts = [];
    this.numFrames = 0;
    this.clipped = 0;
  }

  write(channels) {
    const { length } = channels[0];
    const samples = new Int16Array(length * this.numChannels);
    const mean = this.numChannels === 1 && channels.length > 1;
    for (let index = 0; index < length; index += 1) {
      for (let channel = 0; channel < this.numChannels; channel += 1) {
        let value = channels[channel][index];
        if (mean) value = channels.reduce((sum, each) => sum + each[index], 0) / channels.length;
        if (Math.abs(value) > 1) this.clipped += 1;
        samples[index * this.numChannels + channel] = Math.round(32767 * Math.max(-1, Math.min(1, value)));
      }
    }
    this.parts.push(new Blob([samples]));
    this.numFrames += length;
  }

  finish() {
    const frame = 2 * this.numChannels;
    const header = new DataView(new ArrayBuffer(44));
    const text = (at, word) => [...word].forEach((letter, index) => header.setUint8(at + index, letter.charCodeAt(0)));
    text(0, 'RIFF');
    header.setUint32(4, 36 + this.numFrames * frame, true);
    text(8, 'WAVEfmt ');
    header.setUint32(16, 16, true);
    header.setUint16(20, 1, true);
    header.setUint16(22, this.numChannels, true);
    header.setUint32(24, this.rate, true);
    header.setUint32(28, this.rate * frame, true);
    header.setUint16(32, frame, true);
    header.setUint16(34, 16, true);
    text(36, 'data');
    header.setUint32(40, this.numFrames * frame, true);
    return new Blob([header, ...this.parts], { type: 'audio/wav' });
  }
}
