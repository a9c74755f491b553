// Elements, and the plot of scores over time.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const NONE = '\u2013';
const formatNumber = (value, digits) => value.toFixed(digits).replace('-', '\u2212');
const formatTime = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, '0')}`;

function formatScore(value, data) {
  return Math.abs(value) >= data.endless ? (value > 0 ? '\u221e' : '\u2212\u221e') : formatNumber(value, 2);
}

function niceTicks(low, high, count) {
  const rough = Math.max(high - low, 1e-6) / count;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * magnitude).find((size) => size >= rough);
  const ticks = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + 1e-9; index += 1) ticks.push(index * step);
  return ticks;
}

const PLOT_PX = 220;
const LOWEST_DB = -20;

// lines: [{label, tone, color, isChosen, values}], values in dB by seconds, null where there is none.
function timePlot(lines, duration, audio, title) {
  const values = lines.flatMap((line) => line.values).filter((value) => value !== null && Math.abs(value) < 900);
  if (!values.length) return el('p', { class: 'quiet' }, 'No frame of this track has a score: a stem is silent.');
  const low = Math.max(LOWEST_DB, Math.floor(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.max(...values)));
  const seconds = Math.max(duration, 1);
  const x = (time) => (100 * time) / seconds;
  const y = (value) => 100 - (100 * (Math.min(high, Math.max(low, value)) - low)) / (high - low);
  const grid = niceTicks(low, high, 4).map((tick) =>
    svg('g', {}, svg('line', { class: 'grid', x1: '0%', x2: '100%', y1: `${y(tick)}%`, y2: `${y(tick)}%` }),
      svg('text', { x: '0', y: `${y(tick)}%`, dy: '-3' }, formatNumber(tick, 0))));
  const drawn = [...lines].sort((a, b) => a.isChosen - b.isChosen).map((line) => {
    const points = line.values.map((value, index) => (value === null ? null : [x(index + 0.5), y(value)]));
    const path = points.map((point, index) =>
      point && `${index > 0 && points[index - 1] ? 'L' : 'M'}${point.map((part) => part.toFixed(2)).join(' ')}`);
    // A single frame between two without a score is a line of length 0; its round ends make it a dot.
    const dots = points.map((point) => point && `M${point.map((part) => part.toFixed(2)).join(' ')}h0`);
    const d = path.filter(Boolean).join('') + (points.length <= 60 ? dots.filter(Boolean).join('') : '');
    return svg('path', { class: `line ${line.color}${line.isChosen ? ' chosen' : ''}`, d });
  });
  const excerpt = audio && audio.length_s < duration - 1
    ? [el('span', { class: 'excerpt', style: `left:${x(audio.start_s)}%;width:${x(audio.length_s)}%` })] : [];
  const area = el('div', { class: 'area', style: `height:${PLOT_PX}px` }, ...excerpt,
    svg('svg', { class: 'grids', role: 'img', 'aria-label': title }, ...grid),
    svg('svg', {
      class: 'lines', viewBox: '0 0 100 100', preserveAspectRatio: 'none', 'aria-hidden': 'true',
    }, ...drawn));
  const times = el('div', { class: 'times', 'aria-hidden': 'true' }, ...niceTicks(0, seconds, 6).slice(0, -1)
    .map((tick) => el('span', { style: `left:${x(tick)}%` }, `${tick} s`)));
  const legend = el('ul', { class: 'legend' }, ...lines.map((line) =>
    el('li', { class: line.isChosen ? 'chosen' : '' }, el('i', { class: line.color }), line.label)));
  return el('figure', { class: 'time-plot' }, el('figcaption', {}, title), area, times, legend);
}
