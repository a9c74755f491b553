// Tables that the reader can sort by any column; rows without a value stay at the end.

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.querySelector('button').addEventListener('click', () => sortTable(table, column));
  });
}

function sortTable(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const areWords = heads[column].classList.contains('words');
  const before = heads[column].getAttribute('aria-sort');
  const ascending = before === 'none' ? areWords : before === 'descending';
  heads.forEach((head, index) => {
    head.setAttribute('aria-sort', index !== column ? 'none' : ascending ? 'ascending' : 'descending');
  });
  orderRows(table);
}

// Sort again after the cells have changed, by the column that the table is sorted by, if any.
function orderRows(table) {
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.findIndex((head) => head.getAttribute('aria-sort') !== 'none');
  if (column < 0) return;
  const areWords = heads[column].classList.contains('words');
  const sign = heads[column].getAttribute('aria-sort') === 'ascending' ? 1 : -1;
  const value = (row) => row.cells[column].dataset.sort;
  const compare = (a, b) => {
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return sign * (areWords ? a.localeCompare(b) : Number(a) - Number(b));
  };
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
}
