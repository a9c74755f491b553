// Copies of tables as CSV and LaTeX, and of texts, through the clipboard.

const plainText = (element) => element.textContent.replaceAll('\u00ad', '').trim();

async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = el('textarea', { readonly: '', class: 'hidden' }); // a page of a server without https
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (!done) throw new Error('the browser does not allow it');
  return undefined;
}

function copyButton(text, label, make) {
  const button = el('button', { type: 'button', class: 'small', 'aria-label': label }, text);
  const status = el('span', { class: 'quiet', role: 'status' });
  button.addEventListener('click', () => {
    copyText(make()).then(() => { status.textContent = 'copied'; }, (error) => {
      status.textContent = `not copied: ${error.message}`;
    });
    setTimeout(() => { status.textContent = ''; }, 3000);
  });
  return [button, status];
}

function addTableCopies(table) {
  const caption = plainText(table.caption);
  table.parentElement.after(el('p', { class: 'copies' },
    ...copyButton('Copy as CSV', `Copy as CSV: ${caption}`, () => tableCsv(table)),
    ...copyButton('Copy as LaTeX', `Copy as LaTeX: ${caption}`, () => tableLatex(table))));
}

// The rows as lists of {text, number, detail, isBest}; number and detail are '' where there is none.
function tableRows(table) {
  const cell = (element) => {
    const detail = element.querySelector('small');
    const { sort } = element.dataset;
    const text = plainText(element).slice(0, detail ? -plainText(detail).length : undefined).trim();
    const isNumber = sort !== undefined && sort !== '' && Number.isFinite(Number(sort)) && /\d|\u221e/.test(text);
    return {
      text, number: isNumber ? sort : '', detail: detail ? plainText(detail) : '',
      isBest: element.classList.contains('best'),
    };
  };
  return [...table.tBodies, ...(table.tFoot ? [table.tFoot] : [])].map((part) =>
    [...part.rows].map((row) => [...row.cells].map(cell)));
}

const heads = (table) => [...table.tHead.rows[0].cells].map(plainText);
const INTERVAL = /^(\S+) to (\S+)$/;
const ascii = (text) => text.replaceAll('\u2212', '-');

// Numbers have all their digits; an interval becomes two columns, another detail one.
function tableCsv(table) {
  const rows = tableRows(table).flat();
  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const columns = heads(table).flatMap((name, index) => {
    const details = rows.map((row) => row[index].detail);
    const value = [name, (row) => row[index].number || ascii(row[index].text.replace('\u2013', ''))];
    if (!details.some(Boolean)) return [value];
    if (details.some((detail) => INTERVAL.test(detail))) {
      const end = (row, group) => ascii(INTERVAL.exec(row[index].detail)?.[group] ?? '');
      return [value, [`${name} low`, (row) => end(row, 1)], [`${name} high`, (row) => end(row, 2)]];
    }
    return [value, [`${name} note`, (row) => row[index].detail]];
  });
  return `${[columns.map(([name]) => name), ...rows.map((row) => columns.map(([, of]) => of(row)))]
    .map((line) => line.map(quoted).join(',')).join('\n')}\n`;
}

const LATEX = {
  '\\': '\\textbackslash{}', '~': '\\textasciitilde{}', '^': '\\textasciicircum{}', '\u2013': '--', '\u2212': '$-$',
  '\u221e': '$\\infty$',
};
const latex = (text) => text.replace(/[\\~^\u2013\u2212\u221e]|[&%$#_{}]/g, (found) => LATEX[found] ?? `\\${found}`);

function tableLatex(table) {
  const cell = ({ text, detail, isBest }, index) => {
    const value = isBest ? `\\textbf{${latex(text)}}` : latex(text);
    const interval = INTERVAL.exec(detail);
    if (interval) return `${value} {\\scriptsize [${latex(interval[1])}, ${latex(interval[2])}]}`;
    return detail && index === 0 ? `${value} (${latex(detail)})` : value;
  };
  const line = (cells) => `    ${cells.join(' & ')} \\\\`;
  const areWords = [...table.tHead.rows[0].cells].map((head) => head.classList.contains('words'));
  const parts = tableRows(table).filter((rows) => rows.length).map((rows) => rows.map((row) => line(row.map(cell))).join('\n'));
  return ['\\begin{table}', '  \\centering', `  \\caption{${latex(plainText(table.caption))}}`,
    `  \\begin{tabular}{${areWords.map((isWord) => (isWord ? 'l' : 'r')).join('')}}`, '    \\toprule % \\usepackage{booktabs}',
    line(heads(table).map(latex)), '    \\midrule', parts.join('\n    \\midrule\n'), '    \\bottomrule',
    '  \\end{tabular}', '\\end{table}', ''].join('\n');
}

function addTextCopy(details) {
  const text = details.querySelector('pre').textContent;
  const name = plainText(details.querySelector('summary'));
  details.append(el('p', { class: 'copies' }, ...copyButton('Copy', `Copy: ${name}`, () => text)));
}
