"use strict";
// What the scores of a frame are, beside the mouse; and in print, what is folded away on screen.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));

const readout = document.createElement("div");
readout.id = "readout";
readout.hidden = true;
document.body.append(readout);

function points(path) { // [x, y] of each corner of a path, in pixels of the view box
  return path.getAttribute("d").slice(1).split(/[ML]/).map((corner) => corner.split(" ").map(Number));
}

function nearest(corners, x) {
  let low = 0, high = corners.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (corners[middle][0] < x) low = middle; else high = middle;
  }
  return x - corners[low][0] < corners[high][0] - x ? corners[low] : corners[high];
}

function value(axis, pixel) { // axis: the values at its ends, then their pixels
  const [low, high, start, end] = axis.split(" ").map(Number);
  return low + (pixel - start) / (end - start) * (high - low);
}

for (const chart of document.querySelectorAll("svg.timeline")) {
  const rule = document.createElementNS("http://www.w3.org/2000/svg", "path");
  rule.setAttribute("class", "rule");
  let lines = null;
  chart.addEventListener("pointermove", (event) => {
    lines ??= [...chart.querySelectorAll("path.line")].map((path) => [path, points(path)]);
    const box = chart.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width * chart.viewBox.baseVal.width;
    const [, , start, end] = chart.dataset.axis.split(" ").map(Number);
    const [, , bottom, top] = lines.at(-1)[0].dataset.axis.split(" ").map(Number);
    if (at < start || at > end) return leave();
    const x = nearest(lines.at(-1)[1], at)[0];
    rule.setAttribute("d", `M${x} ${top}L${x} ${bottom}`);
    chart.append(rule);
    readout.replaceChildren(`frame ${Math.round(value(chart.dataset.axis, x))}`);
    for (const [path, corners] of lines) {
      const row = document.createElement("div"), figure = document.createElement("b");
      figure.textContent = value(path.dataset.axis, nearest(corners, x)[1]).toFixed(2);
      row.append(path.dataset.label, figure);
      readout.append(row);
    }
    readout.hidden = false;
    const left = event.clientX + 18, wide = readout.offsetWidth;
    readout.style.left = `${left + wide > innerWidth ? event.clientX - 18 - wide : left}px`;
    readout.style.top = `${Math.min(event.clientY + 14, innerHeight - readout.offsetHeight - 6)}px`;
  });
  const leave = () => { readout.hidden = true; rule.remove(); };
  chart.addEventListener("pointerleave", leave);
}
