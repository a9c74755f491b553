// The view of one track: scores that are buttons (press one to hear it), spectrograms, and scores over time.

const MIXTURE = 'mixture';
const REFERENCE = 'r';

class TrackView {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.player = new Player(() => this.update());
    this.row = MIXTURE; // MIXTURE, REFERENCE or a system's number
    this.stem = 0;
    document.addEventListener('keydown', (event) => this.onKey(event));
  }

  open(index) {
    this.index = index;
    this.track = this.data.tracks[index];
    const island = document.getElementById(`audio-${index}`);
    this.excerpt = island ? JSON.parse(island.textContent) : null;
    this.player.load(this.excerpt ?? { streams: {}, length_s: 0 });
    this.root.hidden = false;
    this.heading = el('h3', { tabindex: '-1' }, this.track.name);
    this.status = el('span', { class: 'status', role: 'status' });
    this.pictures = el('div', { class: 'pictures' });
    this.plot = el('div');
    this.root.replaceChildren(
      el('div', { class: 'head' }, this.heading, this.neighbours()),
      this.excerpt ? this.transport() : el('p', { class: 'quiet' }, 'This page holds no audio of this track.'),
      this.matrix(), this.pictures, this.plot);
    this.choose(this.row, this.stem);
    this.update();
  }

  neighbours() {
    const link = (index, text) => (index in this.data.tracks ? [el('a', { href: `#track-${index}` }, text)] : []);
    return el('p', { class: 'neighbours' }, ...link(this.index - 1, 'Previous'), ...link(this.index + 1, 'Next'));
  }

  transport() {
    this.button = el('button', { type: 'button', class: 'play' });
    this.button.addEventListener('click', () => this.toggle());
    this.slider = el('input', {
      type: 'range', min: '0', max: String(this.excerpt.length_s), step: '0.01', value: '0', 'aria-label': 'Position',
    });
    this.slider.addEventListener('input', () => this.player.seek(Number(this.slider.value)));
    this.time = el('output', { class: 'time' });
    const box = el('input', { type: 'checkbox' });
    box.checked = this.player.loop;
    box.addEventListener('change', () => this.player.setLoop(box.checked));
    return el('div', { class: 'transport' }, this.button, this.slider, this.time,
      el('label', {}, box, ' Loop'), this.status);
  }

  // Rows: the mixture, the true stems, the systems; columns: the stems. One cell is chosen, like a radio button.
  matrix() {
    const { stems, systems } = this.data;
    this.cells = [];
    const cell = (row, stem, text, label) => {
      const button = el('button', { type: 'button', role: 'radio', 'aria-label': label }, text);
      button.addEventListener('click', () => this.choose(row, stem));
      this.cells.push({ row, stem, button });
      return el('td', {}, button);
    };
    const line = (name, tone, cells) => el('tr', {}, el('th', { scope: 'row', class: tone }, name), ...cells);
    const score = (number, column) => this.track.scores[number]?.sdr[column] ?? null;
    const mixture = systems.findIndex((system) => system.name === MIXTURE);
    const mixtureText = (column) => {
      const value = score(mixture, column);
      return value === null ? 'mixture' : formatScore(value, this.data);
    };
    const head = [
      line('Mixture', 'bound', stems.map((stem, column) =>
        cell(MIXTURE, column, mixtureText(column), `Mixture, ${stem}`))),
      line('Reference', '', stems.map((stem, column) => cell(REFERENCE, column, '\u221e', `Reference, ${stem}`))),
    ];
    const scores = [...systems.entries()].filter(([, system]) => system.name !== MIXTURE).map(([number, system]) =>
      line(system.short, system.tone, stems.map((stem, column) => (score(number, column) === null
        ? el('td', { class: 'none' }, '\u2013')
        : cell(number, column, formatScore(score(number, column), this.data), `${system.short}, ${stem}`)))));
    const table = el('table', { class: 'matrix', role: 'radiogroup', 'aria-label': 'Audio and scores' },
      el('thead', {}, el('tr', {}, el('td'), ...stems.map((stem) => el('th', { scope: 'col' }, stem)))),
      el('tbody', {}, ...head, ...scores));
    const hint = this.excerpt
      ? 'Global SDR in dB. Press a cell to hear it; arrow keys move between cells, the space bar plays and pauses.'
      : 'Global SDR in dB.';
    return el('div', { class: 'scroll' }, table, el('p', { class: 'quiet' }, hint));
  }

  streamOf(row, stem) {
    return row === MIXTURE ? MIXTURE : `${row}/${this.data.stems[stem]}`;
  }

  nameOf(row) {
    return row === MIXTURE ? 'Mixture' : row === REFERENCE ? 'Reference' : this.data.systems[row].short;
  }

  choose(row, stem) {
    this.row = this.cells.some((cell) => cell.row === row && cell.stem === stem) ? row : MIXTURE;
    this.stem = stem;
    for (const cell of this.cells) {
      const chosen = cell.row === this.row && cell.stem === this.stem;
      cell.button.setAttribute('aria-checked', String(chosen));
      cell.button.tabIndex = chosen ? 0 : -1;
    }
    this.player.select(this.streamOf(this.row, this.stem));
    this.drawPictures();
    this.drawPlot();
    this.update();
  }

  drawPictures() {
    const rows = [MIXTURE, REFERENCE, ...this.data.systems.keys()];
    const shown = rows.filter((row) => this.player.has(this.streamOf(row, this.stem)));
    if (!shown.length) return this.pictures.replaceChildren();
    const stem = this.data.stems[this.stem];
    this.pictures.replaceChildren(...shown.map((row) => {
      const name = row === MIXTURE ? 'Mixture' : `${this.nameOf(row)}, ${stem}`;
      const image = el('img', {
        src: `data:image/webp;base64,${this.excerpt.streams[this.streamOf(row, this.stem)][1]}`,
        alt: `Spectrogram: ${name}`, draggable: 'false',
      });
      const strip = el('div', { class: 'strip' }, image, el('i', { class: 'playhead' }));
      strip.addEventListener('click', (event) => {
        const frame = strip.getBoundingClientRect();
        this.choose(row, this.stem);
        this.player.seek(((event.clientX - frame.left) / frame.width) * this.player.length);
      });
      return el('figure', { class: row === this.row ? 'chosen' : '' }, strip, el('figcaption', {}, name));
    }), el('p', { class: 'quiet' },
      'Spectrograms, 40 Hz to 16 kHz on a logarithmic axis; press one to hear it from there.'));
  }

  drawPlot() {
    const lines = this.data.systems.map((system, number) => ({
      label: system.short,
      color: system.tone === 'bound' ? 'bounds' : `c${number % 8}`,
      isChosen: number === this.row,
      values: this.track.scores[number]?.frames[this.stem] ?? [],
    })).filter((line) => line.values.length);
    const title = `SDR of each second, dB: ${this.data.stems[this.stem]}`;
    this.plot.replaceChildren(timePlot(lines, this.track.duration_s, this.excerpt, title));
    this.plot.querySelector('.area')?.append(el('i', { class: 'playhead' }));
  }

  toggle() {
    if (this.player.playing) this.player.pause();
    else {
      this.player.play().catch((error) => {
        this.status.textContent = `This browser cannot play it: ${error.message}`;
      });
    }
  }

  update() {
    if (!this.excerpt || !this.button) return;
    const { playing } = this.player;
    const hasAudio = this.player.has(this.player.stream);
    this.button.textContent = playing ? 'Pause' : 'Play';
    this.button.disabled = !hasAudio;
    const stem = this.row === MIXTURE ? '' : `, ${this.data.stems[this.stem]}`;
    const name = `${this.nameOf(this.row)}${stem}`;
    const status = hasAudio ? name : `${name}: no audio was stored`;
    if (this.status.textContent !== status) this.status.textContent = status;
    this.tick();
  }

  tick() {
    const position = this.player.position;
    if (document.activeElement !== this.slider || this.player.playing) this.slider.value = String(position);
    this.slider.setAttribute('aria-valuetext', formatTime(position));
    this.time.textContent = `${formatTime(position)} / ${formatTime(this.excerpt.length_s)}`;
    for (const head of this.root.querySelectorAll('.playhead')) {
      const inPlot = head.parentElement.classList.contains('area');
      const share = inPlot ? (this.excerpt.start_s + position) / Math.max(this.track.duration_s, 1)
        : position / this.excerpt.length_s;
      head.style.left = `${100 * Math.min(1, share)}%`;
    }
    if (this.player.playing && !this.waiting) {
      this.waiting = true;
      requestAnimationFrame(() => { this.waiting = false; this.tick(); });
    }
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.root.hidden) return;
    const inMatrix = event.target.getAttribute?.('role') === 'radio';
    const isOnControl = Boolean(event.target.closest?.('button, a, input, select, summary'));
    if (event.key === ' ' && this.excerpt && (inMatrix || !isOnControl)) {
      event.preventDefault();
      this.toggle();
    } else if (inMatrix && event.key.startsWith('Arrow')) {
      event.preventDefault();
      this.move(event.key);
    }
  }

  move(key) {
    const rows = [...new Set(this.cells.map((cell) => cell.row))];
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key];
    const column = this.stem + right;
    for (let at = rows.indexOf(this.row) + down; at in rows; at += down) {
      const found = this.cells.find((cell) => cell.row === rows[at] && cell.stem === column);
      if (found) {
        this.choose(found.row, found.stem);
        found.button.focus();
        return;
      }
      if (!down) return;
    }
  }
}

function formatScore(value, data) {
  return Math.abs(value) >= data.endless ? (value > 0 ? '\u221e' : '\u2212\u221e') : formatNumber(value, 2);
}
