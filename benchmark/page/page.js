// What ties the page together: data, tables, the choice of the scores shown, and the track that the address names.

const data = JSON.parse(document.getElementById('data').textContent);
const view = new TrackView(document.getElementById('track'), data);
const tracksTable = document.querySelector('#tracks table.sortable');

document.querySelectorAll('table.sortable').forEach(makeSortable);

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
      cell.textContent = value === null ? '\u2013' : formatScore(value, data);
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

function openFromAddress() {
  const index = Number(/^#track-(\d+)$/.exec(location.hash)?.[1] ?? NaN);
  if (!(index in data.tracks)) return false;
  view.open(index);
  view.root.scrollIntoView();
  view.heading.focus({ preventScroll: true });
  return true;
}

addTrackChoice();
window.addEventListener('hashchange', openFromAddress);
document.addEventListener('click', (event) => { // a link to the open track causes no hashchange
  if (event.target.closest('a')?.getAttribute('href') === location.hash) openFromAddress();
});
if (!openFromAddress()) {
  const first = data.tracks.findIndex((track) => track.audible);
  view.open(Math.max(0, first));
}
