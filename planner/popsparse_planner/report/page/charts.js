// Bars and lines: memory, cycles, roofline, crossover.
function drawBars(figure, bars, limit, unit, label) {
  const narrow = isNarrow(), width = narrow ? 420 : 1000, left = narrow ? 64 : 90, row = 44;
  const most = bars.reduce((a, bar) => Math.max(a, bar.parts.reduce((sum, part) => sum + part.value, 0)), limit || 0) || 1;
  const svg = drawing(figure, width, bars.length * row + 26, label);
  const room = limit ? 12 : 84;  // at the right, for the sum of the longest bar
  const place = (value) => left + (value / most) * (width - left - room);
  const seen = new Map();
  bars.forEach((bar, index) => {
    let start = 0;
    svg.append(element("text", { x: 4, y: index * row + 26, "font-size": 13 }, bar.name));
    for (const part of bar.parts) {
      if (!part.value) continue;
      seen.set(part.name, part.colour);
      const box = { x: place(start), y: index * row + 6, width: Math.max(place(start + part.value) - place(start), 0.5), height: row - 14 };
      const rect = element("rect", { ...box, fill: part.colour, stroke: "#fff", "data-part": part.name, "data-value": part.value });
      rect.append(element("title", {}, `${bar.name}, ${part.name}: ${whole.format(part.value)} ${unit}`));
      svg.append(rect);
      start += part.value;
    }
    const beyond = place(start) > width - 80;  // of a plan that fills or exceeds its tile: inside the bar
    const words = element("text", { x: place(start) + (beyond ? -6 : 6), y: index * row + 26, "font-size": 12, "text-anchor": beyond ? "end" : "start" }, whole.format(start));
    if (beyond) words.setAttribute("style", "paint-order:stroke;stroke:#fff;stroke-width:3px");
    svg.append(words);
  });
  if (limit) {
    const x = place(limit), bottom = bars.length * row;
    svg.append(element("line", { x1: x, x2: x, y1: 0, y2: bottom, stroke: "#d55e00", "stroke-width": 2, "stroke-dasharray": "5 3" }));
    svg.append(element("text", { x, y: bottom + 16, "font-size": 12, "text-anchor": "end" }, `capacity ${whole.format(limit)} ${unit}`));
  }
  legend(figure, seen);
}

const CATEGORY_COLOURS = ["#0072b2", "#56b4e9", "#009e73", "#e69f00", "#f0e442", "#cc79a7", "#d55e00", "#999999", "#332288", "#88ccee", "#117733", "#ddcc77"];

function drawMemory(figure) {
  const memory = report.memory;
  const bar = (name, key) => ({ name, parts: memory.categories.map((c, i) => ({ name: c.category, value: c[key], colour: CATEGORY_COLOURS[i % 12] })) });
  drawBars(figure, [bar(`tile ${memory.worst_tile}`, "worst_tile_bytes")], memory.capacity_bytes, "B",
    `Bytes by category on the fullest tile: ${whole.format(memory.peak_bytes)} of ${whole.format(memory.capacity_bytes)}`);
}

function drawCycles(figure) {
  const cycles = report.cycles;
  const bar = (name, cost) => ({ name, parts: cycles.parts.map((part) => ({ name: part, value: cost[`${part}_cycles`], colour: KIND_COLOURS[part] })) });
  const bars = [bar("this plan", cycles.cost)];
  if (cycles.dense_cost && report.problem.mode !== "dense") bars.push(bar("dense", cycles.dense_cost));
  drawBars(figure, bars, 0, "cycles", `Cycles by part, ${whole.format(cycles.cost.total_cycles)} in all`);
}

// Axes with powers of a base; returns the functions that place x and y.
function logAxes(svg, box, xs, ys, xWords, yWords, tick) {
  const span = (values, pad) => [Math.log(Math.min(...values)) - pad, Math.log(Math.max(...values)) + pad];
  const [x0, x1] = span(xs, 0.15), [y0, y1] = span(ys, 0.25);
  const x = (value) => box.left + ((Math.log(value) - x0) / (x1 - x0)) * (box.right - box.left);
  const y = (value) => box.bottom - ((Math.log(value) - y0) / (y1 - y0)) * (box.bottom - box.top);
  svg.append(element("rect", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top, fill: "none", stroke: "#d0d7de" }));
  for (const value of tick.x) {
    svg.append(element("text", { x: x(value), y: box.bottom + 16, "font-size": 12, "text-anchor": "middle" }, tick.xText(value)));
  }
  for (const value of tick.y.filter((v) => Math.log(v) >= y0 && Math.log(v) <= y1)) {
    svg.append(element("line", { x1: box.left, x2: box.right, y1: y(value), y2: y(value), stroke: "#d0d7de" }));
    svg.append(element("text", { x: box.left - 5, y: y(value) + 4, "font-size": 12, "text-anchor": "end" }, short.format(value)));
  }
  svg.append(element("text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "font-size": 13, "text-anchor": "middle" }, xWords));
  svg.append(element("text", { x: box.left, y: box.top - 8, "font-size": 13 }, yWords));
  return { x, y, lowY: Math.exp(y0), highY: Math.exp(y1), lowX: Math.exp(x0), highX: Math.exp(x1) };
}

// A mark of its own shape for each series, so that print in one colour can tell them apart.
function mark(shape, x, y, colour) {
  const paths = ["M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0", "M-5,-5h10v10h-10z", "M0,-6l6,6l-6,6l-6,-6z", "M0,-6l6,10h-12z"];
  return element("path", { d: paths[shape % 4], transform: `translate(${x},${y})`, fill: colour, stroke: "#fff" });
}

function drawRoofline(figure) {
  const roof = report.flops.roofline, reached = report.flops.tflops, at = roof.intensity_flops_per_byte;
  const width = isNarrow() ? 420 : 620, height = 380, box = { left: 56, right: width - 16, top: 30, bottom: height - 46 };
  const svg = drawing(figure, width, height, `Roofline: ${short.format(reached)} TFLOP/s at ${short.format(at)} operations per byte received`);
  const ridge = roof.matrix_peak_tflops / roof.exchange_tbytes_per_second;
  const xs = [Math.min(at, ridge) / 4, Math.max(at, ridge) * 4];
  const powers = (low, high) => { const list = []; for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++) list.push(10 ** p); return list; };
  const xTicks = powers(xs[0], xs[1]).filter((v) => v >= xs[0] && v <= xs[1]);
  const axes = logAxes(svg, box, xs, [reached / 5, roof.matrix_peak_tflops * 1.5], "useful operations per byte received", "TFLOP/s",
    { x: xTicks, y: powers(0.001, 10000), xText: (v) => short.format(v) });
  const low = Math.max(xs[0], axes.lowY / roof.exchange_tbytes_per_second);
  const line = (points, colour, dash) => svg.append(element("polyline", { points: points.map(([x, y]) => `${axes.x(x)},${axes.y(y)}`).join(" "), fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": dash || "" }));
  line([[low, low * roof.exchange_tbytes_per_second], [ridge, roof.matrix_peak_tflops], [xs[1], roof.matrix_peak_tflops]], "#1b1f24");
  svg.append(element("text", { x: box.right - 4, y: axes.y(roof.matrix_peak_tflops) - 6, "font-size": 12, "text-anchor": "end" }, `matrix peak ${short.format(roof.matrix_peak_tflops)}`));
  if (roof.codelet_tflops) {
    line([[xs[0], roof.codelet_tflops], [xs[1], roof.codelet_tflops]], "#0072b2", "6 4");
    svg.append(element("text", { x: box.right - 4, y: axes.y(roof.codelet_tflops) - 6, "font-size": 12, "text-anchor": "end" }, `these codelets, evenly spread ${short.format(roof.codelet_tflops)}`));
  }
  svg.append(mark(0, axes.x(at), axes.y(reached), "#d55e00"));
  const right = axes.x(at) > (box.left + box.right) / 2;
  svg.append(element("text", { x: axes.x(at) + (right ? -9 : 9), y: axes.y(reached) + 16, "font-size": 13, "font-weight": 600, "text-anchor": right ? "end" : "start", "data-tflops": reached }, `this plan ${short.format(reached)}`));
}

function drawCrossover(figure) {
  const cross = report.crossover, cells = cross.cells.filter((c) => c.fits);
  const width = isNarrow() ? 420 : 620, height = 380, box = { left: 56, right: width - 58, top: 30, bottom: height - 46 };
  const svg = drawing(figure, width, height, "Predicted speed-up over dense against density, one line for each block size; numbers in the table below");
  const axes = logAxes(svg, box, cross.densities, [...cells.map((c) => c.speedup_vs_dense), 1], "density", "speed-up over dense",
    { x: cross.densities, y: [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50], xText: (v) => `1/${Math.round(1 / v)}` });
  svg.append(element("line", { x1: box.left, x2: box.right, y1: axes.y(1), y2: axes.y(1), stroke: "#1b1f24", "stroke-width": 2, "stroke-dasharray": "6 4" }));
  svg.append(element("text", { x: box.left + 5, y: axes.y(1) + 15, "font-size": 12 }, "as fast as dense"));
  const ends = [];
  cross.block_sizes.forEach((b, index) => {
    const line = cells.filter((c) => c.block_size === b).sort((p, q) => p.density - q.density), colour = OKABE_ITO[[0, 5, 2, 3][index % 4]];
    svg.append(element("polyline", { points: line.map((c) => `${axes.x(c.density)},${axes.y(c.speedup_vs_dense)}`).join(" "), fill: "none", stroke: colour, "stroke-width": 2 }));
    for (const c of line) {
      const point = mark(index, axes.x(c.density), axes.y(c.speedup_vs_dense), colour);
      point.append(element("title", {}, `b = ${b}, density ${short.format(c.density)}: ${c.speedup_vs_dense.toFixed(2)}x`));
      svg.append(point);
    }
    if (line.length) ends.push({ b, colour, y: axes.y(line[line.length - 1].speedup_vs_dense) + 4 });
  });
  ends.sort((p, q) => p.y - q.y).forEach((end, i) => {  // names at the right, pushed apart where lines end close together
    if (i) end.y = Math.max(end.y, ends[i - 1].y + 14);
    svg.append(element("text", { x: box.right + 6, y: end.y, "font-size": 12, style: `fill:${end.colour};font-weight:600` }, `b = ${end.b}`));
  });
}
