// The live page's chart: the scores of the last minutes.

const LEFT = 52, RIGHT = 14, TOP = 10, PLOT = 160; // pixels
const SHORTEST = 10; // seconds of the axis

function style(i) { return `s${i % 6}${i < 6 ? "" : i < 12 ? " dashed" : " dotted"}`; }

function swatch(kind) {
  const one = element("svg", {class: "swatch", viewBox: "0 0 26 8", "aria-hidden": "true"});
  one.append(element("path", {class: kind, d: "M1 4L25 4"}));
  return one;
}

function key() { // one button per member
  const names = [...page.lines.members.keys()];
  if ($("lines").dataset.names === names.join("\n")) return;
  $("lines").dataset.names = names.join("\n");
  const buttons = names.map((name, i) => {
    const one = made("button", "", swatch(`line ${style(i)}`), name);
    one.type = "button";
    one.setAttribute("aria-pressed", shown.has(name));
    one.addEventListener("click", () => {
      if (!shown.delete(name)) shown.add(name);
      one.setAttribute("aria-pressed", shown.has(name));
      chart();
    });
    return made("li", "", one);
  });
  const fixed = [made("li", "", swatch("line fused"), "fused"), made("li", "", swatch("line threshold"), "threshold")];
  $("lines").replaceChildren(...fixed, ...buttons);
}

function path(seconds, values, x, y, gap) { // thinned to a lowest and a highest point per pixel; broken at gaps
  const kept = [];
  for (let i = 0, column = null; i < seconds.length; i++) {
    if (values[i] === null) continue;
    const at = Math.floor(x(seconds[i]));
    if (at !== column) { kept.push([i, i]); column = at; continue; }
    const pair = kept.at(-1);
    if (values[i] < values[pair[0]]) pair[0] = i;
    if (values[i] > values[pair[1]]) pair[1] = i;
  }
  const order = kept.flatMap(([low, high]) => low === high ? [low] : [Math.min(low, high), Math.max(low, high)]);
  return order.map((i, k) => {
    const lift = k === 0 || seconds[i] - seconds[order[k - 1]] > gap;
    return `${lift ? "M" : "L"}${x(seconds[i]).toFixed(1)} ${y(values[i]).toFixed(1)}`;
  }).join("");
}

function chart() {
  const {lines, about} = page, svg = $("timeline"), width = svg.clientWidth;
  if (!about || !lines.seconds.length || width < 2 * LEFT) return;
  const members = [...lines.members].map(([name, values], i) => ({name, values, style: style(i)}))
    .filter((one) => shown.has(one.name));
  const seen = [lines.score, lines.threshold, ...members.map((one) => one.values)];
  const low = seen.flat().reduce((least, value) => Math.min(least, value ?? 0), 0);
  const most = seen.flat().reduce((most, value) => Math.max(most, value ?? 0), 1e-6), high = most + 0.06 * (most - low);
  const to = lines.seconds.at(-1), from = Math.max(to - about.timeline, Math.min(lines.seconds[0], to - SHORTEST));
  const bottom = TOP + PLOT, right = width - RIGHT;
  const x = (seconds) => LEFT + (seconds - from) / (to - from) * (right - LEFT);
  const y = (value) => TOP + PLOT * (high - value) / (high - low);
  const spacing = median(lines.seconds.slice(1).map((one, i) => one - lines.seconds[i])) || 0;
  const gap = Math.max(2, about.timeline / 60, 3 * spacing), parts = [];
  for (const {data} of events.values()) {
    const start = Math.max(data.start.seconds ?? Infinity, from), stop = data.over ? data.end.seconds : to;
    if (stop <= from || start > to) continue;
    const wide = Math.max(x(stop) - x(start), 2);
    parts.push(element("rect", {class: "shade", x: x(start), y: TOP, width: wide, height: PLOT}));
  }
  for (const [value, text] of ticks(low, high, 4)) {
    parts.push(element("line", {class: "grid", x1: LEFT, x2: right, y1: y(value), y2: y(value)}));
    parts.push(element("text", {class: "tick", x: LEFT - 8, y: y(value) + 3.5, "text-anchor": "end"}, text));
  }
  parts.push(element("line", {class: "axis", x1: LEFT, x2: right, y1: bottom, y2: bottom}));
  parts.push(...times(from, to, x, bottom, right));
  const curve = (values, kind, name) => parts.push(
    element("path", {class: `line ${kind}`, "data-label": name, d: path(lines.seconds, values, x, y, gap)}));
  for (const one of members) curve(one.values, one.style, one.name);
  curve(lines.threshold, "threshold", "threshold");
  curve(lines.score, "fused", "fused");
  svg.setAttribute("viewBox", `0 0 ${width} ${bottom + 42}`);
  svg.replaceChildren(...parts);
}

function times(from, to, x, bottom, right) { // ticks at round times, as many as fit
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800], most = (right - LEFT) / 70;
  const step = steps.find((one) => (to - from) / one <= most) ?? 3600, parts = [];
  const began = page.status?.began ?? 0;
  for (let at = Math.ceil((began + Math.max(from, 0)) / step) * step - began; at <= to; at += step) {
    parts.push(element("line", {class: "axis", x1: x(at), x2: x(at), y1: bottom, y2: bottom + 4}));
    parts.push(element("text", {class: "tick", x: x(at), y: bottom + 16, "text-anchor": "middle"}, time(at)));
  }
  const middle = {x: (LEFT + right) / 2, y: bottom + 35, "text-anchor": "middle"};
  return [...parts, element("text", {class: "title", ...middle}, began ? "time of day" : "source time")];
}

