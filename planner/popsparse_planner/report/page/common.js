"use strict";
// Shared by all figures: the report's numbers, SVG elements, scales and colours that all kinds of colour vision tell apart.
const report = JSON.parse(document.getElementById("report").textContent);
const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
const OKABE_ITO = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#666666"];
const KIND_COLOURS = { compute: "#0072b2", exchange: "#e69f00", reduce: "#009e73", other: "#cc79a7", sync: "#d55e00", control: "#888888" };
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });

function viridis(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const part = (colour, at) => parseInt(colour.slice(1 + 2 * at, 3 + 2 * at), 16);
  const mixed = [0, 1, 2].map((at) => {
    const a = part(VIRIDIS[low], at), b = part(VIRIDIS[low + 1], at);
    return Math.round(a + (place - low) * (b - a));
  });
  return `rgb(${mixed.join(",")})`;
}

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function html(name, attributes, text) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawing(figure, width, height, label) {
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  figure.insertBefore(svg, figure.querySelector("figcaption"));
  return svg;
}

// Narrow windows get drawings of fewer units across, so that their text stays readable.
function isNarrow() { return window.innerWidth < 600; }

function choice(figure, names, pressed, choose) {
  const bar = figure.querySelector(".controls");
  for (const name of names) {
    const button = html("button", { type: "button", "data-choice": name, "aria-pressed": String(name === pressed) }, name);
    button.addEventListener("click", () => {
      for (const other of bar.querySelectorAll("[data-choice]")) other.setAttribute("aria-pressed", String(other === button));
      choose(name);
    });
    bar.append(button);
  }
  choose(pressed);
}

function scaleBar(figure, low, high) {
  const bar = figure.querySelector(".scale");
  bar.replaceChildren(html("span", {}, whole.format(low)), html("i"), html("span", { "data-most": String(high) }, whole.format(high)));
  bar.querySelector("i").style.background = `linear-gradient(to right, ${VIRIDIS.join(",")})`;
}

function legend(figure, entries) {
  const list = html("div", { class: "legend" });
  for (const [name, colour] of entries) {
    const entry = html("span"), box = html("i");
    box.style.background = colour;
    entry.append(box, name);
    list.append(entry);
  }
  figure.insertBefore(list, figure.querySelector("svg") || figure.querySelector("figcaption"));
}
