// The block mask: which tile multiplies which blocks in the first part of n.
function drawMask(figure) {
  const mask = report.partition.mask;
  const canvas = figure.querySelector("canvas"), readout = figure.querySelector(".readout");
  const zoom = Math.max(1, Math.ceil(512 / Math.max(mask.rows, mask.cols)));
  canvas.width = mask.cols * zoom;
  canvas.height = mask.rows * zoom;
  const paint = canvas.getContext("2d");
  const most = mask.blocks.reduce((a, b) => Math.max(a, b), 0);
  const last = mask.tile.reduce((a, b) => Math.max(a, b), 0);
  const colours = {
    partition: (i) => (mask.tile[i] < 0 ? "#444444" : OKABE_ITO[mask.tile[i] % OKABE_ITO.length]),
    "tile number": (i) => (mask.tile[i] < 0 ? "#444444" : viridis(last ? mask.tile[i] / last : 0)),
    blocks: (i) => viridis(most ? mask.blocks[i] / most : 0),
  };
  const bar = figure.querySelector(".scale");
  choice(figure, Object.keys(colours), "partition", (name) => {
    paint.clearRect(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < mask.row.length; i++) {
      paint.fillStyle = colours[name](i);
      paint.fillRect(mask.col[i] * zoom, mask.row[i] * zoom, zoom, zoom);
    }
    if (name === "partition") bar.replaceChildren("neighbouring tiles differ in colour; eight colours repeat");
    else scaleBar(figure, 0, name === "blocks" ? most : last);
  });
  const found = new Map(mask.row.map((row, i) => [row * mask.cols + mask.col[i], i]));
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const row = Math.floor(((event.clientY - box.top) / box.height) * mask.rows);
    const col = Math.floor(((event.clientX - box.left) / box.width) * mask.cols);
    const i = found.get(row * mask.cols + col);
    const place = `block row ${row * mask.cell_rows}, block column ${col * mask.cell_cols}`;
    readout.textContent = i === undefined ? `${place}: no block` : `${place}: ${mask.blocks[i]} blocks, tile ${mask.tile[i]}`;
  });
}
