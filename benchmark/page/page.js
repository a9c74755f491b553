// What ties the page together: data, tables, the choice of the scores shown, and what the address names.

const data = JSON.parse(document.getElementById('data').textContent);
const view = new TrackView(document.getElementById('track'), data);
const tracksTable = document.querySelector('#listening table.sortable');

document.querySelectorAll('table.sortable').forEach((table) => {
  makeSortable(table);
  addTableCopies(table);
});
document.querySelectorAll('details.copyable').forEach(addTextCopy);

function choice(label, options) {
  const select = el('select', {}, ...options.map(([value, text]) => el('option', { value }, text)));
  return [el('label', {}, `${label} `, select), select];
}

function addTrackChoice() {
  const rows = [...tracksTable.tBodies[0].rows]; // in the tracks' order
  const [metricLabel, metric] = choice('Score', Object.entries(data.metrics));
  const [stemLabel, stem] = choice('Stem', [['mean', 'mean'], ...data.stems.entries()]);
  const caption = tracksTable.caption.firstChild;
  const show = () => {
    rows.forEach((row, index) => data.systems.forEach((_, number) => {
      const scores = data.tracks[index].scores[number];
      const value = (stem.value === 'mean' ? scores?.mean[metric.value] : scores?.[metric.value][stem.value]) ?? null;
      const cell = row.cells[number + 1];
      cell.textContent = value === null ? NONE : formatScore(value, data);
      if (value === null) delete cell.dataset.sort;
      else cell.dataset.sort = String(value);
    }));
    const stemName = stem.value === 'mean' ? 'mean over four stems' : data.stems[stem.value];
    caption.textContent = `All tracks: ${data.metrics[metric.value]}${data.units[metric.value]}, ${stemName}`;
    orderRows(tracksTable);
  };
  metric.addEventListener('change', show);
  stem.addEventListener('change', show);
  document.getElementById('track-choice').append(metricLabel, stemLabel);
}

// What an address names: #track-3, or #track=NAME&system=NAME&stem=NAME&second=4.2, in which all but the track may lack.
function readAddress() {
  const short = /^#track-(\d+)$/.exec(location.hash);
  if (short) return { index: Number(short[1]), place: {} };
  const fields = new URLSearchParams(location.hash.slice(1));
  const index = data.tracks.findIndex((track) => track.name === fields.get('track'));
  const place = { isResidual: fields.get('residual') === '1' };
  const number = data.systems.findIndex((system) => system.name === fields.get('system'));
  const rows = { mixture: MIXTURE, reference: REFERENCE };
  if (fields.has('system')) place.row = rows[fields.get('system')] ?? (number < 0 ? MIXTURE : number);
  if (fields.get('stem') === SUM) place.stem = SUM;
  else if (data.stems.includes(fields.get('stem'))) place.stem = data.stems.indexOf(fields.get('stem'));
  if (Number.isFinite(parseFloat(fields.get('second')))) place.second = parseFloat(fields.get('second'));
  return { index, place };
}

function openFromAddress() {
  const { index, place } = readAddress();
  if (!(index in data.tracks)) return false;
  show(index, place);
  return true;
}

function show(index, place = {}) {
  view.open(index, place);
  view.isShown = true; // from now on the address follows the reader
  view.root.scrollIntoView();
  view.heading.focus({ preventScroll: true });
}

addTrackChoice();
if (document.getElementById('blind')) {
  document.getElementById('blind').hidden = false;
  new BlindTest(document.getElementById('blind-test'), data);
}
window.addEventListener('hashchange', openFromAddress);
document.addEventListener('click', (event) => {
  const dot = event.target.closest('[data-track]');
  if (dot) show(Number(dot.dataset.track));
  // a link to the open track causes no hashchange
  else if (event.target.closest('a')?.getAttribute('href') === location.hash) openFromAddress();
});
for (const kind of ['click', 'keydown']) {
  view.root.addEventListener(kind, () => { view.isShown = true; }, { capture: true });
}
if (!openFromAddress()) {
  const first = data.tracks.findIndex((track) => track.audible);
  view.open(Math.max(0, first));
}
