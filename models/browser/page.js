// The page: takes a song, shows how far it is, and plays and hands out the stems.

import { openWav } from './separate.js';

const facts = JSON.parse(document.getElementById('facts').textContent);
const LONGEST_DECODED_S = 30 * 60; // the browser decodes such a song at once, 21 MB a minute
const LONGEST_PLAYED_S = 10 * 60; // a longer one is played by the browser's own players
const get = (id) => document.getElementById(id);
const player = new Player(update, notPlayed, 2);
player.loop = false;
let worker = null;
let urls = [];
let frame = 0;

function show(...ids) {
  for (const id of ['drop', 'work', 'result']) get(id).hidden = !ids.includes(id);
}

function fail(message) {
  worker?.terminate();
  worker = null;
  show('drop');
  get('failed').textContent = message;
  get('failed').hidden = false;
}

function notPlayed(error) {
  get('failed').textContent = `Not played: ${error.message}`;
  get('failed').hidden = false;
}

async function decode(file) {
  const url = URL.createObjectURL(file);
  const length = await new Promise((resolve) => {
    const audio = new Audio();
    audio.preload = 'metadata';
    audio.onloadedmetadata = () => resolve(audio.duration);
    audio.onerror = () => resolve(NaN);
    audio.src = url;
  });
  URL.revokeObjectURL(url);
  if (length > LONGEST_DECODED_S) {
    throw new Error(`${file.name} is longer than ${LONGEST_DECODED_S / 60} minutes: only wav files with `
      + `${facts.sample_rate} samples a second may be.`);
  }
  try {
    const context = new OfflineAudioContext(1, 1, facts.sample_rate); // it decodes to this rate
    return await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} is not a song that this browser can read.`);
  }
}

async function start(file) {
  if (worker) return;
  get('failed').hidden = true;
  player.load({ streams: {}, length_s: 0 });
  get('work-name').textContent = file.name;
  get('state').textContent = 'Reading the song and the network';
  get('progress').removeAttribute('value');
  show('work');
  worker = new Worker('worker.js', { type: 'module' });
  const own = worker;
  own.onmessage = ({ data }) => {
    if (data.error) fail(data.error);
    else if (data.blobs) finish(file, data);
    else progress(data);
  };
  own.onerror = (event) => fail(`The page's worker failed: ${event.message ?? 'a file of it is missing'}`);
  try {
    const wav = await openWav(file, facts.sample_rate, facts.channels);
    if (wav) return own.postMessage({ file, facts });
    const audio = await decode(file);
    if (own !== worker) return; // cancelled meanwhile
    const count = Math.min(audio.numberOfChannels, facts.channels);
    if (audio.numberOfChannels > facts.channels) throw new Error(`${file.name} has ${audio.numberOfChannels} channels.`);
    const channels = Array.from({ length: count }, (_, index) => audio.getChannelData(index).slice());
    own.postMessage({ channels, facts }, channels.map((samples) => samples.buffer));
  } catch (error) {
    if (own === worker) fail(error.message);
  }
}

function progress({ done, total, elapsed }) {
  get('progress').value = done / total;
  const left = (elapsed * (total - done)) / done;
  get('state').textContent = `${clock(done / facts.sample_rate)} of ${clock(total / facts.sample_rate)}`
    + (done < total ? `, about ${clock(left)} left` : '');
}

function finish(file, { blobs, clipped, length_s: length, elapsed }) {
  worker.terminate();
  worker = null;
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  const base = file.name.replace(/\.[^.]*$/, '');
  const streams = { mixture: file, ...Object.fromEntries(facts.stems.map((name, index) => [name, blobs[index]])) };
  const isPlayed = length <= LONGEST_PLAYED_S;
  player.load({ streams: isPlayed ? streams : {}, length_s: length });
  get('streams').replaceChildren(...['mixture', ...facts.stems].map((name) => {
    const url = URL.createObjectURL(streams[name]);
    urls.push(url);
    const row = document.createElement('div');
    row.className = 'stream';
    if (isPlayed) {
      const button = document.createElement('button');
      Object.assign(button, { type: 'button', textContent: name });
      button.setAttribute('role', 'radio');
      button.dataset.stream = name;
      button.addEventListener('click', () => choose(name));
      row.append(button);
    } else {
      const audio = Object.assign(document.createElement('audio'), { controls: true, preload: 'none', src: url });
      audio.setAttribute('aria-label', name);
      row.append(name, audio);
    }
    if (name !== 'mixture') {
      const link = Object.assign(document.createElement('a'), { href: url, download: `${base}.${name}.wav` });
      link.textContent = 'Download';
      link.setAttribute('aria-label', `Download ${name}`);
      row.append(link);
    }
    return row;
  }));
  document.querySelector('.transport').hidden = !isPlayed;
  get('position').max = String(length);
  get('result-name').textContent = file.name;
  get('took').textContent = `${clock(length)} of music took ${elapsed.toFixed(1)} s.`
    + (clipped ? ` ${clipped} samples were clipped.` : '');
  show('drop', 'result');
  choose('mixture');
  get('result-name').focus();
}

function choose(name) {
  for (const button of document.querySelectorAll('[data-stream]')) {
    const chosen = button.dataset.stream === name;
    button.setAttribute('aria-checked', String(chosen));
    button.tabIndex = chosen ? 0 : -1;
  }
  player.select({ [name]: 1 });
  update();
}

function onArrow(event) {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  const buttons = [...document.querySelectorAll('[data-stream]')];
  const at = buttons.indexOf(document.activeElement);
  if (!step || at < 0) return;
  event.preventDefault();
  const next = buttons[(at + step + buttons.length) % buttons.length];
  next.focus();
  choose(next.dataset.stream);
}

function update() {
  get('play').textContent = player.playing ? 'Pause' : 'Play';
  get('position').value = String(player.position);
  get('time').textContent = `${clock(player.position)} / ${clock(player.length)}`;
  cancelAnimationFrame(frame);
  if (player.playing) frame = requestAnimationFrame(update);
}

function clock(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

get('file').addEventListener('change', () => {
  const [file] = get('file').files;
  get('file').value = '';
  if (file) start(file);
});
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  get('drop').classList.add('over');
});
document.addEventListener('dragleave', () => get('drop').classList.remove('over'));
document.addEventListener('drop', (event) => {
  event.preventDefault();
  get('drop').classList.remove('over');
  const [file] = event.dataTransfer.files;
  if (file) start(file);
});
get('cancel').addEventListener('click', () => {
  worker?.terminate();
  worker = null;
  show('drop');
});
get('play').addEventListener('click', () => (player.playing ? player.pause() : player.play()));
get('position').addEventListener('input', () => player.seek(Number(get('position').value)));
get('streams').addEventListener('keydown', onArrow);
