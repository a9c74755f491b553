// Plays one of several mixes of streams of the same length. It changes between mixes without a gap or a jump: the new
// mix starts at the position that the old one will have, on the same clock, while the old one fades out.
//
// A mix is {stream: gain}: a single stem, a sum of stems, or a residual, in which the true stem has the gain -1.

const LEAD_S = 0.03; // the audio thread must know of a start before it is due
const FADE_S = 0.012;
const MOST_DECODED = 12;
const MOST_MIXED = 6;

class Player {
  static all = [];

  constructor(onChange, onError, mostDecoded = MOST_DECODED) {
    this.onChange = onChange;
    this.onError = onError;
    this.mostDecoded = mostDecoded;
    this.context = null;
    this.loop = true;
    this.playing = false;
    this.ticket = 0; // number of the last requested start
    this.load(null);
    Player.all.push(this);
  }

  load(excerpt) {
    this.pause();
    this.streams = excerpt?.streams ?? {};
    this.beside = excerpt?.beside ?? false;
    this.length = excerpt?.length_s ?? 0;
    this.decoded = new Map();
    this.mixed = new Map();
    this.mix = {};
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

  has(mix) {
    const streams = Object.keys(mix);
    return streams.length > 0 && streams.every((stream) => stream in this.streams);
  }

  select(mix) {
    this.mix = mix;
    if (!this.playing) return;
    if (this.has(mix)) this.begin(null);
    else this.pause();
  }

  play() {
    if (this.playing || !this.has(this.mix)) return;
    Player.all.forEach((other) => other !== this && other.pause());
    this.context ??= new AudioContext();
    this.context.resume().then(() => this.begin(this.offset >= this.length ? 0 : this.offset), this.onError);
  }

  pause() {
    this.ticket += 1; // cancels a start that waits for its stream
    if (!this.playing) return;
    this.offset = this.position;
    this.playing = false;
    this.fadeOut(this.context.currentTime);
    this.onChange();
  }

  seek(position) {
    const place = Math.min(Math.max(0, position), Math.max(0, this.length - 0.001));
    if (this.playing) this.begin(place);
    else this.offset = place;
    this.onChange();
  }

  setLoop(loop) {
    const position = this.position;
    this.loop = loop;
    if (this.playing) this.begin(position);
  }

  // Start the chosen mix at a position; null: at the position that the playing one will have.
  async begin(position) {
    this.ticket += 1;
    const ticket = this.ticket;
    try {
      const buffer = await this.buffer(this.mix);
      if (ticket === this.ticket) this.start(buffer, position);
    } catch (error) {
      if (ticket === this.ticket) this.onError(error);
    }
  }

  start(buffer, position) {
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

  // The samples of a mix.
  async buffer(mix) {
    const entries = Object.entries(mix);
    if (entries.length === 1 && entries[0][1] === 1) return this.decode(entries[0][0]);
    return this.cached('mixed', MOST_MIXED, JSON.stringify(entries), async () => {
      const parts = await Promise.all(entries.map(([stream]) => this.decode(stream)));
      const [first] = parts;
      const sum = new AudioBuffer({
        numberOfChannels: first.numberOfChannels, length: first.length, sampleRate: first.sampleRate,
      });
      for (let channel = 0; channel < first.numberOfChannels; channel += 1) {
        const out = sum.getChannelData(channel);
        parts.forEach((part, index) => {
          const samples = part.getChannelData(Math.min(channel, part.numberOfChannels - 1));
          const gain = entries[index][1];
          const length = Math.min(out.length, samples.length);
          for (let at = 0; at < length; at += 1) out[at] += gain * samples[at];
        });
      }
      return sum;
    });
  }

  decode(stream) {
    return this.cached('decoded', this.mostDecoded, stream, async () => {
      this.context ??= new AudioContext();
      return this.context.decodeAudioData(await readAudio(this.streams[stream], this.beside));
    });
  }

  // The value of a key, made if there is none; the least recently used one is dropped.
  async cached(name, most, key, make) {
    const values = this[name];
    const value = values.get(key) ?? await make();
    values.delete(key);
    values.set(key, value);
    if (values.size > most) values.delete(values.keys().next().value);
    return value;
  }
}

// The bytes of a stream: a Blob, or a list that begins with text in the page or the address of a file beside it.
async function readAudio(stream, beside) {
  if (stream instanceof Blob) return stream.arrayBuffer();
  const [source] = stream;
  if (!beside) return Uint8Array.from(atob(source), (character) => character.charCodeAt(0)).buffer;
  if (location.protocol === 'file:') {
    throw new Error('its audio is in files beside the page, which a browser reads only from a web server, such as '
      + 'python -m http.server');
  }
  const answer = await fetch(source);
  if (!answer.ok) throw new Error(`${source} is missing (${answer.status})`);
  return answer.arrayBuffer();
}
