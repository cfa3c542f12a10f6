// Tables that a click on a column's head sorts: numbers by data-value, largest first, texts by the alphabet.
"use strict";

const valueOf = (cell) => cell.dataset.value ?? cell.textContent.trim();

// Make the heads of a table into buttons; sorted(name of the column, "up" or "down") is called after each click.
function sortable(table, sorted = () => {}) {
  for (const head of table.tHead.rows[0].cells) {
    const button = element("button", { type: "button", textContent: head.textContent });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const was = head.ariaSort;
      const first = head.classList.contains("number") ? "down" : "up";
      const direction = was ? (was === "ascending" ? "down" : "up") : first;
      sortBy(table, button.textContent, direction);
      sorted(button.textContent, direction);
    });
  }
}

function sortBy(table, name, direction) {
  const heads = [...table.tHead.rows[0].cells];
  const column = heads.findIndex((head) => head.textContent === name);
  if (column < 0) return;
  heads.forEach((head, i) => { head.ariaSort = i === column ? (direction === "up" ? "ascending" : "descending") : null; });
  const isNumber = heads[column].classList.contains("number");
  const sign = direction === "up" ? 1 : -1;
  const key = new Map([...table.tBodies[0].rows].map((row) => [row, valueOf(row.cells[column])]));
  const rows = [...key.keys()].sort((a, b) => {
    const [x, y] = [key.get(a), key.get(b)];
    if (x === "" || y === "") return (x === "") - (y === ""); // not known: last
    return sign * (isNumber ? Number(x) - Number(y) : x.localeCompare(y));
  });
  table.tBodies[0].append(...rows);
}
