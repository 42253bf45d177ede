// Supersteps in time, a lane for each kind; wheel or buttons zoom, dragging moves.
function drawTimeline(figure) {
  const steps = report.supersteps, narrow = isNarrow();
  const lanes = ["control", "sync", "exchange", "compute", "reduce", "other"].filter((kind) => steps.some((s) => s.kind === kind));
  const width = narrow ? 420 : 1000, left = 74, row = 30, height = lanes.length * row + 34;
  const total = steps.reduce((end, s) => Math.max(end, s.start_cycles + s.cycles), 0);
  const label = `Timeline of ${steps.length} supersteps over ${whole.format(total)} cycles; the table below holds its numbers`;
  const svg = drawing(figure, width, height, label), readout = figure.querySelector(".readout");
  let view = { start: 0, span: total };
  const place = (cycles) => left + ((cycles - view.start) / view.span) * (width - left - 8);

  function draw() {
    svg.replaceChildren(element("title", {}, label));
    lanes.forEach((kind, lane) => svg.append(element("text", { x: 4, y: lane * row + 20, "font-size": 13 }, kind)));
    for (const step of steps) {
      const start = Math.max(place(step.start_cycles), left), end = Math.min(place(step.start_cycles + step.cycles), width - 8);
      if (end < left || start > width - 8) continue;
      const y = lanes.indexOf(step.kind) * row + 4, wide = Math.max(end - start, 1);
      const bar = element("rect", { x: start, y, width: wide, height: row - 8, fill: KIND_COLOURS[step.kind], "data-step": step.name, "data-cycles": step.cycles });
      const words = `${step.name}: ${whole.format(step.cycles)} cycles from ${whole.format(step.start_cycles)}`;
      bar.append(element("title", {}, words));
      bar.addEventListener("pointerenter", () => { readout.textContent = words; });
      svg.append(bar);
      if (wide > step.name.length * 8 + 6) {
        const dark = ["exchange", "other"].includes(step.kind) ? "#000" : "#fff";
        svg.append(element("text", { x: start + 4, y: y + 15, "font-size": 12, style: `fill:${dark};pointer-events:none` }, step.name));
      }
    }
    axis();
  }

  function axis() {
    const y = lanes.length * row + 6, ticks = narrow ? 3 : 6;
    svg.append(element("line", { x1: left, x2: width - 8, y1: y, y2: y, stroke: "#57606a" }));
    for (let i = 0; i <= ticks; i++) {
      const cycles = view.start + (view.span * i) / ticks, anchor = i === 0 ? "start" : i === ticks ? "end" : "middle";
      svg.append(element("text", { x: place(cycles), y: y + 17, "font-size": 12, "text-anchor": anchor }, whole.format(cycles)));
    }
  }

  function zoom(factor, about) {
    const span = Math.min(Math.max(view.span * factor, total / 1e5), total);
    const share = (about - view.start) / view.span;
    view = { start: Math.min(Math.max(about - share * span, 0), total - span), span };
    draw();
  }

  const cyclesAt = (event) => {
    const box = svg.getBoundingClientRect(), x = ((event.clientX - box.left) / box.width) * width;
    return view.start + (Math.max(x - left, 0) / (width - left - 8)) * view.span;
  };
  svg.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY > 0 ? 1.25 : 0.8, cyclesAt(event)); }, { passive: false });
  let grabbed = null;
  svg.addEventListener("pointerdown", (event) => { grabbed = { at: cyclesAt(event) }; });
  svg.addEventListener("pointermove", (event) => {
    if (!grabbed || event.buttons === 0) return;
    view.start = Math.min(Math.max(view.start + grabbed.at - cyclesAt(event), 0), total - view.span);
    draw();
  });
  window.addEventListener("pointerup", () => { grabbed = null; });
  const centre = () => view.start + view.span / 2;
  const actions = {
    "zoom in": () => zoom(0.5, centre()),
    "zoom out": () => zoom(2, centre()),
    earlier: () => { view.start = Math.max(view.start - view.span / 4, 0); draw(); },
    later: () => { view.start = Math.min(view.start + view.span / 4, total - view.span); draw(); },
    all: () => { view = { start: 0, span: total }; draw(); },
  };
  for (const [name, act] of Object.entries(actions)) {
    const button = html("button", { type: "button", "data-action": name }, name);
    button.addEventListener("click", act);
    figure.querySelector(".controls").append(button);
  }
  draw();
}
