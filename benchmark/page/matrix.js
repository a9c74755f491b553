// The table of one track's scores, in which every cell is a button that plays it. The rows are the mixture, the true
// stems and the systems; the columns are the stems and their sum, in which stems can be muted and soloed.

const MIXTURE = 'mixture';
const REFERENCE = 'r';
const SUM = 'sum';
const ACCOMPANIMENT = 'accompaniment';

class Matrix {
  // track: its data; streams: {name: ...}, those that can be heard; onChange: called when the choice has changed.
  constructor(data, track, streams, onChange) {
    this.data = data;
    this.track = track;
    this.streams = streams;
    this.onChange = onChange;
    this.cells = [];
    this.desk = { mute: new Map(), solo: new Map() }; // the buttons, by stem
    this.chosen = { row: MIXTURE, stem: 0 };
  }

  nameOf(row) {
    return row === MIXTURE ? 'Mixture' : row === REFERENCE ? 'Reference' : this.data.systems[row].short;
  }

  stemName(stem) {
    return stem === SUM ? 'sum of the stems' : this.data.stems[stem];
  }

  // The stems whose sum is the mixture, those of them that a row has: the parts, else vocals and accompaniment.
  parts(row) {
    const have = this.data.stems.filter((stem) => `${row}/${stem}` in this.streams);
    const parts = have.filter((stem) => stem !== ACCOMPANIMENT);
    return parts.length > 1 || row === MIXTURE ? parts : have;
  }

  isOn(kind, stem) {
    return this.desk[kind].get(stem)?.getAttribute('aria-pressed') === 'true';
  }

  // The stems of the sum that are heard: those that are soloed, else those that are not muted.
  heard(row) {
    const parts = this.parts(row);
    const soloed = parts.filter((stem) => this.isOn('solo', stem));
    return (soloed.length ? soloed : parts).filter((stem) => !this.isOn('mute', stem));
  }

  // The streams of a cell, and what remains of them when the true stems are subtracted.
  mix(row, stem, isResidual) {
    const stems = stem === SUM ? this.heard(row) : [this.data.stems[stem]];
    const mix = row === MIXTURE ? { [MIXTURE]: 1 } : Object.fromEntries(stems.map((name) => [`${row}/${name}`, 1]));
    if (isResidual && row !== REFERENCE) stems.forEach((name) => { mix[`${REFERENCE}/${name}`] = -1; });
    return mix;
  }

  table() {
    const { stems, systems } = this.data;
    const score = (number, column) => this.track.scores[number]?.sdr[column] ?? null;
    const line = (name, tone, cells) => el('tr', {}, el('th', { scope: 'row', class: tone }, name), ...cells);
    const none = () => el('td', { class: 'none' }, NONE);
    const cell = (row, stem, text, words) => {
      const label = `${this.nameOf(row)}, ${this.stemName(stem)}`;
      const button = el('button', {
        type: 'button', class: 'cell', 'data-cell': label, 'aria-label': `${label}: ${words}`, 'aria-pressed': 'false',
      }, text);
      button.addEventListener('click', () => this.choose(row, stem));
      this.cells.push({ row, stem, button });
      return el('td', {}, button);
    };
    const scored = (row, column, value, words) => cell(row, column, words ?? formatScore(value, this.data),
      words ?? `${formatScore(value, this.data)} dB`);
    const hasSums = [REFERENCE, ...systems.keys()].some((row) => this.parts(row).length > 1);
    const sum = (row) => {
      if (!hasSums) return [];
      return [row !== MIXTURE && this.parts(row).length > 1 ? cell(row, SUM, 'sum', 'no score') : none()];
    };
    const mixture = systems.findIndex((system) => system.name === MIXTURE);
    const rows = [
      line('Mixture', 'bound', [...stems.map((_, column) => (score(mixture, column) === null
        ? scored(MIXTURE, column, null, 'mixture') : scored(MIXTURE, column, score(mixture, column)))), ...sum(MIXTURE)]),
      line('Reference', '', [...stems.map((_, column) => cell(REFERENCE, column, '\u221e', '\u221e dB')),
        ...sum(REFERENCE)]),
      ...[...systems.entries()].filter(([, system]) => system.name !== MIXTURE).map(([number, system]) =>
        line(system.short, system.tone, [...stems.map((_, column) => (score(number, column) === null
          ? none() : scored(number, column, score(number, column)))), ...sum(number)])),
    ];
    const heads = [...stems, ...(hasSums ? [SUM] : [])].map((name) => el('th', { scope: 'col' },
      name.replace('accompaniment', 'accom\u00adpani\u00adment')));
    const desk = hasSums ? ['mute', 'solo'].map((kind) => this.deskRow(kind)) : [];
    return el('table', { class: 'matrix' },
      el('caption', { class: 'hidden' }, `${this.track.name}: global SDR in dB of each stem; press a score to hear it`),
      el('thead', {}, el('tr', {}, el('td'), ...heads)), el('tbody', {}, ...rows), el('tfoot', {}, ...desk));
  }

  deskRow(kind) {
    const buttons = this.data.stems.map((stem) => {
      if (stem === ACCOMPANIMENT && this.data.stems.length > 2) return el('td');
      const button = el('button', {
        type: 'button', class: 'desk', 'aria-pressed': 'false', 'aria-label': `${kind} ${stem} in the sum`,
      }, kind);
      button.addEventListener('click', () => {
        button.setAttribute('aria-pressed', String(!this.isOn(kind, stem)));
        const row = this.has(this.chosen.row, SUM) ? this.chosen.row : REFERENCE;
        this.choose(row, SUM);
      });
      this.desk[kind].set(stem, button);
      return el('td', {}, button);
    });
    return el('tr', {}, el('th', { scope: 'row', class: 'bound' }, `${kind} in the sum`), ...buttons, el('td'));
  }

  has(row, stem) {
    return this.cells.some((cell) => cell.row === row && cell.stem === stem);
  }

  choose(row, stem) {
    const column = stem === SUM && !this.has(row, SUM) ? 0 : stem;
    this.chosen = { row: this.has(row, column) ? row : MIXTURE, stem: column };
    for (const cell of this.cells) {
      const isChosen = cell.row === this.chosen.row && cell.stem === this.chosen.stem;
      cell.button.setAttribute('aria-pressed', String(isChosen));
      cell.button.tabIndex = isChosen ? 0 : -1;
    }
    this.onChange();
  }

  // An arrow key chooses the next cell in its direction that exists.
  move(key) {
    const rows = [...new Set(this.cells.map((cell) => cell.row))];
    const columns = [...this.data.stems.keys(), SUM];
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key];
    let [y, x] = [rows.indexOf(this.chosen.row) + down, columns.indexOf(this.chosen.stem) + right];
    for (; y in rows && x in columns; y += down, x += right) {
      const found = this.cells.find((cell) => cell.row === rows[y] && cell.stem === columns[x]);
      if (found) {
        this.choose(found.row, found.stem);
        found.button.focus();
        return;
      }
    }
  }
}
