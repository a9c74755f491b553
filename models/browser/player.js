// Plays one of several streams of the same length. It changes between streams without a gap or a jump: the new stream
// starts at the position that the old one will have, on the same clock, while the old one fades out.

const LEAD_S = 0.03; // the audio thread must know of a start before it is due
const FADE_S = 0.012;
const MOST_DECODED = 12;

// A stream is a Blob, or a list whose first item is its file in base64.
async function bytesOf(stream) {
  if (stream instanceof Blob) return stream.arrayBuffer();
  return Uint8Array.from(atob(stream[0]), (character) => character.charCodeAt(0)).buffer;
}

class Player {
  constructor(onChange, mostDecoded = MOST_DECODED) {
    this.onChange = onChange;
    this.mostDecoded = mostDecoded;
    this.context = null;
    this.loop = true;
    this.playing = false;
    this.ticket = 0; // number of the last requested start
    this.load({ streams: {}, length_s: 0 });
  }

  load(excerpt) {
    this.pause();
    this.streams = excerpt.streams;
    this.length = excerpt.length_s;
    this.decoded = new Map();
    this.stream = null;
    this.offset = 0;
    this.startedAt = 0;
  }

  get position() {
    return this.playing ? this.positionAt(this.context.currentTime) : this.offset;
  }

  positionAt(time) {
    const position = this.offset + Math.max(0, time - this.startedAt);
    return this.loop ? position % this.length : Math.min(position, this.length);
  }

  has(stream) {
    return stream in this.streams;
  }

  async select(stream) {
    this.stream = stream;
    if (!this.playing) return;
    if (this.has(stream)) await this.begin(null);
    else this.pause();
  }

  async play() {
    if (this.playing || !this.has(this.stream)) return;
    this.context ??= new AudioContext();
    await this.context.resume();
    await this.begin(this.offset >= this.length ? 0 : this.offset);
  }

  pause() {
    this.ticket += 1; // cancels a start that waits for its stream
    if (!this.playing) return;
    this.offset = this.position;
    this.playing = false;
    this.fadeOut(this.context.currentTime);
    this.onChange();
  }

  async seek(position) {
    const place = Math.min(Math.max(0, position), Math.max(0, this.length - 0.001));
    if (this.playing) await this.begin(place);
    else this.offset = place;
    this.onChange();
  }

  setLoop(loop) {
    const position = this.position;
    this.loop = loop;
    if (this.playing) this.begin(position);
  }

  // Start the chosen stream at a position; null: at the position that the playing stream will have.
  async begin(position) {
    this.ticket += 1;
    const ticket = this.ticket;
    const buffer = await this.decode(this.stream);
    if (ticket !== this.ticket) return;
    const when = this.context.currentTime + LEAD_S;
    const offset = position ?? this.positionAt(when);
    const source = this.context.createBufferSource();
    const gain = this.context.createGain();
    source.buffer = buffer;
    source.loop = this.loop;
    source.connect(gain).connect(this.context.destination);
    gain.gain.setValueAtTime(0, when);
    gain.gain.linearRampToValueAtTime(1, when + FADE_S);
    source.start(when, offset);
    this.fadeOut(when);
    source.onended = () => {
      if (this.source !== source || !this.playing) return;
      this.playing = false;
      this.offset = 0;
      this.onChange();
    };
    Object.assign(this, { source, gain, offset, startedAt: when, playing: true });
    this.onChange();
  }

  fadeOut(when) {
    if (!this.source) return;
    this.gain.gain.cancelScheduledValues(when);
    this.gain.gain.setValueAtTime(1, when);
    this.gain.gain.linearRampToValueAtTime(0, when + FADE_S);
    this.source.stop(when + FADE_S);
    this.source = null;
  }

  async decode(stream) {
    const streams = this.streams;
    let buffer = this.decoded.get(stream);
    if (!buffer) {
      buffer = await this.context.decodeAudioData(await bytesOf(streams[stream]));
      if (streams !== this.streams) return buffer; // another track was opened meanwhile
    }
    this.decoded.delete(stream); // moves it to the end: the least recently used one is dropped
    this.decoded.set(stream, buffer);
    if (this.decoded.size > this.mostDecoded) this.decoded.delete(this.decoded.keys().next().value);
    return buffer;
  }
}
