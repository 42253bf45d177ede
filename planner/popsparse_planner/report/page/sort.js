"use strict";
// Tables whose columns sort on a click: first upwards, then downwards.
function sortable(table) {
  const body = table.tBodies[0];
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const text = row.cells[column].textContent, number = parseFloat(text.replace(/[,+%]/g, ""));
        return head.classList.contains("number") && !Number.isNaN(number) ? number : text;
      };
      const order = (p, q) => (typeof p === typeof q ? (p < q ? -1 : p > q ? 1 : 0) : typeof p === "number" ? -1 : 1);
      const rows = Array.from(body.rows).sort((p, q) => order(key(p), key(q)));
      body.replaceChildren(...(down ? rows.reverse() : rows));
    });
  });
}
for (const table of document.querySelectorAll("table.sortable")) sortable(table);
