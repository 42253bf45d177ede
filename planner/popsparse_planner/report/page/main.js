// Every figure that the page holds.
const FIGURES = { tiles: drawTiles, mask: drawMask, timeline: drawTimeline, memory: drawMemory, cycles: drawCycles, roofline: drawRoofline, crossover: drawCrossover };
for (const figure of document.querySelectorAll("figure[data-figure]")) FIGURES[figure.dataset.figure](figure);
