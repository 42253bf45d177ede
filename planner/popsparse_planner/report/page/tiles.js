// Heat map of the chip: one square a tile, by tile number from left to right and from top to bottom.
function drawTiles(figure) {
  const tiles = report.tiles, count = tiles.cycles.length;
  const across = isNarrow() ? 32 : 64, size = 10, gap = 1;
  const down = Math.ceil(count / across), readout = figure.querySelector(".readout");
  const svg = drawing(figure, across * size, down * size, `Heat map of ${count} tiles`);
  const squares = [];
  for (let tile = 0; tile < count; tile++) {
    const x = (tile % across) * size, y = Math.floor(tile / across) * size;
    const square = element("rect", { x, y, width: size - gap, height: size - gap, "data-tile": tile });
    squares.push(square);
    svg.append(square);
  }
  svg.addEventListener("pointermove", (event) => {
    const tile = event.target.getAttribute && event.target.getAttribute("data-tile");
    if (tile === null) return;
    const numbers = ["cycles", "nonzeros", "bytes"].map((name) => `${whole.format(tiles[name][tile])} ${name}`);
    readout.textContent = `tile ${tile}: ${numbers.join(", ")}`;
  });
  choice(figure, ["cycles", "nonzeros", "bytes"], "cycles", (name) => {
    const column = tiles[name], most = column.reduce((a, b) => Math.max(a, b), 0);
    squares.forEach((square, tile) => {
      square.setAttribute("fill", column[tile] || !most ? viridis(most ? column[tile] / most : 0) : "#e6e6e6");
      square.setAttribute("data-value", column[tile]);
    });
    scaleBar(figure, 0, most);
    svg.setAttribute("aria-label", `Heat map of ${count} tiles by ${name}, at most ${whole.format(most)}; numbers below`);
  });
}
