// The view of one track: its scores, which are buttons that play, spectrograms, and scores over time.

class TrackView {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.player = new Player(() => this.update(), (error) => { this.problem = error.message; this.update(); });
    this.chosen = { row: MIXTURE, stem: 0 };
    this.isResidual = false;
    this.problem = '';
    root.addEventListener('keydown', (event) => this.onKey(event));
  }

  // place: {row, stem, second, isResidual}, each may be missing; a second counts from the start of the track.
  open(index, place = {}) {
    this.index = index;
    this.track = this.data.tracks[index];
    this.excerpt = readExcerpt(index, this.data);
    this.player.load(this.excerpt);
    this.problem = '';
    this.isResidual = place.isResidual ?? false;
    this.root.hidden = false;
    this.heading = el('h3', { tabindex: '-1' }, this.track.name);
    this.status = el('span', { class: 'status', role: 'status' });
    this.pictures = el('div', { class: 'pictures' });
    this.plot = el('div');
    this.matrix = new Matrix(this.data, this.track, this.excerpt?.streams ?? {}, () => this.onChoice());
    this.root.replaceChildren(
      el('div', { class: 'head' }, this.heading, this.neighbours()),
      this.excerpt ? this.transport() : el('p', { class: 'quiet' }, 'This page holds no audio of this track.'),
      el('div', { class: 'scroll' }, this.matrix.table()), this.hint(), this.pictures, this.plot);
    this.matrix.choose(place.row ?? this.chosen.row, place.stem ?? this.chosen.stem);
    if (this.excerpt && place.second !== undefined) this.player.seek(place.second - this.excerpt.start_s);
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
    this.slider.addEventListener('change', () => this.showAddress());
    this.time = el('output', { class: 'time' });
    const box = el('input', { type: 'checkbox' });
    box.checked = this.player.loop;
    box.addEventListener('change', () => this.player.setLoop(box.checked));
    this.residual = el('input', { type: 'checkbox' });
    this.residual.checked = this.isResidual;
    this.residual.addEventListener('change', () => {
      this.isResidual = this.residual.checked;
      this.onChoice();
    });
    return el('div', { class: 'transport' }, this.button, this.slider, this.time, el('label', {}, box, ' Loop'),
      el('label', {}, this.residual, ' Residual: what leaks or lacks (estimate minus truth)'),
      ...copyButton('Copy link', 'Copy link to this track, system, stem and second',
        () => `${location.href.split('#')[0]}${this.address()}`), this.status);
  }

  hint() {
    return el('p', { class: 'quiet' }, this.excerpt
      ? 'Global SDR in dB. Press a cell to hear it; arrow keys move between cells, and on a cell the space bar plays and '
        + 'pauses. The sum is of a system\u2019s stems that are not muted, or only of those in solo.'
      : 'Global SDR in dB.');
  }

  // The address of what is chosen: track, system, stem and second.
  address() {
    const { row, stem } = this.matrix.chosen;
    const name = row === MIXTURE ? 'mixture' : row === REFERENCE ? 'reference' : this.data.systems[row].name;
    const fields = { track: this.track.name, system: name, stem: stem === SUM ? SUM : this.data.stems[stem] };
    if (this.excerpt) fields.second = (this.excerpt.start_s + this.player.position).toFixed(2);
    if (this.isResidual) fields.residual = '1';
    return `#${new URLSearchParams(fields)}`;
  }

  showAddress() {
    if (this.isShown) history.replaceState(null, '', this.address());
  }

  onChoice() {
    this.chosen = this.matrix.chosen;
    const { row, stem } = this.chosen;
    this.problem = '';
    this.player.select(this.matrix.mix(row, stem, this.isResidual));
    this.drawPictures();
    this.drawPlot();
    this.update();
    this.showAddress();
  }

  drawPictures() {
    const { row: chosen, stem } = this.chosen;
    const streamOf = (row) => (row === MIXTURE ? MIXTURE : `${row}/${this.data.stems[stem]}`);
    const rows = [MIXTURE, REFERENCE, ...this.data.systems.keys()];
    const shown = rows.filter((row) => this.excerpt && streamOf(row) in this.excerpt.streams);
    if (!shown.length || stem === SUM) return this.pictures.replaceChildren();
    return this.pictures.replaceChildren(...shown.map((row) => {
      const name = row === MIXTURE ? 'Mixture' : `${this.matrix.nameOf(row)}, ${this.data.stems[stem]}`;
      const picture = this.excerpt.streams[streamOf(row)][1];
      const image = el('img', {
        src: this.data.beside ? picture : `data:image/webp;base64,${picture}`, alt: `Spectrogram: ${name}`,
        draggable: 'false', width: '480', height: '96',
      });
      const strip = el('div', { class: 'strip' }, image, el('i', { class: 'playhead' }));
      strip.addEventListener('click', (event) => {
        const frame = strip.getBoundingClientRect();
        this.player.seek(((event.clientX - frame.left) / frame.width) * this.player.length);
        this.matrix.choose(row, stem);
      });
      return el('figure', { class: row === chosen ? 'chosen' : '' }, strip, el('figcaption', {}, name));
    }), el('p', { class: 'quiet' },
      'Spectrograms, 40 Hz to 16 kHz on a logarithmic axis; press one to hear it from there.'));
  }

  drawPlot() {
    const { row, stem } = this.chosen;
    if (stem === SUM) return this.plot.replaceChildren();
    const lines = this.data.systems.map((system, number) => ({
      label: system.short,
      color: system.color,
      isChosen: number === row,
      values: this.track.scores[number]?.frames[stem] ?? [],
    })).filter((line) => line.values.length);
    const title = `SDR of each second, dB: ${this.data.stems[stem]}`;
    this.plot.replaceChildren(timePlot(lines, this.track.duration_s, this.excerpt, title));
    return this.plot.querySelector('.area')?.append(el('i', { class: 'playhead' }));
  }

  toggle() {
    if (this.player.playing) {
      this.player.pause();
      this.showAddress();
    } else this.player.play();
  }

  describe() {
    const { row, stem } = this.chosen;
    if (this.problem) return `This cannot be played: ${this.problem}`;
    const name = row === MIXTURE && !this.isResidual ? 'Mixture'
      : `${this.matrix.nameOf(row)}, ${this.matrix.stemName(stem)}`;
    const heard = stem === SUM ? this.matrix.heard(row) : [];
    const parts = stem === SUM ? ` (${heard.length ? heard.join(', ') : 'all are muted'})` : '';
    const residual = this.isResidual ? (row === REFERENCE ? ': the truth has no residual' : ': residual') : '';
    const silent = this.player.has(this.player.mix) || (stem === SUM && !heard.length) ? '' : ': no audio was stored';
    return `${name}${parts}${residual}${silent}`;
  }

  update() {
    if (!this.excerpt || !this.button) return;
    this.button.textContent = this.player.playing ? 'Pause' : 'Play';
    this.button.disabled = !this.player.has(this.player.mix);
    const status = this.describe();
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

  // Keys have a meaning only on a cell of the matrix; elsewhere the space bar scrolls the page as always.
  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !event.target.classList.contains('cell')) return;
    if (event.key === ' ' && this.excerpt) {
      event.preventDefault();
      this.toggle();
    } else if (event.key.startsWith('Arrow')) {
      event.preventDefault();
      this.matrix.move(event.key);
    }
  }
}

function readExcerpt(index, data) {
  const island = document.getElementById(`audio-${index}`);
  return island ? { ...JSON.parse(island.textContent), beside: data.beside } : null;
}
