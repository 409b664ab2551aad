// Charts of scores over time.

const GAP = 0.02; // share of what is shown: lines are broken at wider gaps
const DOT = "m-2 0h4"; // around a point between gaps, which no line leads to or from
const LABEL_HEIGHT = 13, LABEL_WIDTH = 150, WIDE = 720, STRIP = 11, TOP = 24, LEFT = 52;

class Chart {
  constructor(svg, source, options = {}) {
    const {from = 0, to = source.numbers.length - 1, height = 120} = options;
    const {threshold = () => state.threshold, sprite = source} = options;
    Object.assign(this, {svg, source, from, to, height, threshold, sprite, whole: [from, to], cursor: null});
    this.plot = svg.classList.contains("timeline");
    this.listen();
    state.charts.push(this);
  }

  x(number) {
    const {low, high} = this;
    return this.left + (number - low) / (high - low) * (this.right - this.left);
  }

  y(line, value) {
    const [low, high] = line.axis;
    return TOP + this.height * (1 - (value - low) / (high - low));
  }

  position(clientX) { // of the frame nearest to a place on the screen
    const box = this.svg.getBoundingClientRect();
    const at = (clientX - box.left) / box.width * this.width;
    const share = Math.min(Math.max((at - this.left) / (this.right - this.left), 0), 1);
    return Math.min(Math.max(this.source.at(this.low + share * (this.high - this.low)), this.from), this.to);
  }

  draw(width = this.svg.clientWidth) {
    if (width < 2 * LEFT) return; // not shown
    const {source, svg} = this, numbers = source.numbers;
    const wide = this.plot && width >= WIDE, single = this.from === this.to;
    Object.assign(this, {
      width, left: LEFT, right: width - (wide ? LABEL_WIDTH : 14),
      low: numbers[this.from] - (single ? 0.5 : 0), high: numbers[this.to] + (single ? 0.5 : 0),
    });
    const strips = this.strips(), bottom = TOP + this.height, foot = bottom + 4 + STRIP * strips.length;
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${foot + (source.timed ? 34 : 22)}`);
    this.clip = `plot-${state.charts.indexOf(this)}`;
    const clip = element("clipPath", {id: this.clip});
    clip.append(element("rect", {x: this.left, y: TOP - 2, width: this.right - this.left, height: this.height + 4}));
    svg.append(clip);
    const inside = element("g", {"clip-path": `url(#${this.clip})`});
    for (const run of source.labels) inside.append(this.block(run, "shade", TOP, this.height, "labelled anomalous"));
    svg.append(inside);
    this.grid(bottom);
    this.rule(bottom);
    this.paths(wide);
    strips.forEach((strip, i) => this.strip(strip, bottom + 4 + STRIP * i, wide));
    this.axis(foot);
    this.markers(bottom);
    if (this.cursor !== null) this.mark(this.cursor);
  }

  strips() {
    const shown = ([start, stop]) => stop > this.from && start <= this.to;
    const found = this.source.strips.filter((strip) => strip.runs.some(shown));
    if (!this.plot || !DATA.rule) return found;
    const above = this.source.above.map(([first, last]) => [first, last + 1]);
    return [{style: "above", label: "event", runs: above}, ...found];
  }

  block([start, stop], style, top, height, what) { // frames start … stop-1, half a frame wider on both sides
    const numbers = this.source.numbers, first = numbers[start], last = numbers[stop - 1];
    const left = Math.max(this.x(first - 0.5), this.left), right = Math.min(this.x(last + 0.5), this.right);
    const width = Math.max(right - left, right < left ? 0 : 1);
    const made = element("rect", {class: style, x: left, y: top, width, height});
    return titled(made, `${what}: ${first === last ? `frame ${first}` : `frames ${first} to ${last}`}`);
  }

  strip(strip, top, wide) {
    const group = element("g", {class: `strip ${strip.style}`});
    const shown = strip.runs.filter(([start, stop]) => stop > this.from && start <= this.to);
    for (const run of shown) group.append(this.block(run, "", top, 7, strip.label));
    const count = strip.style === "above" ? shown.length : frames(strip.runs);
    if (wide) group.append(element("text", {x: this.right + 10, y: top + 7}, `${strip.label}: ${count}`));
    this.svg.append(group);
  }

  grid(bottom) {
    const line = this.source.main;
    for (const [value, text] of ticks(...line.axis, 4)) {
      const y = this.y(line, value);
      this.svg.append(element("line", {class: "grid", x1: this.left, x2: this.right, y1: y, y2: y}));
      this.svg.append(element("text", {class: "tick", x: this.left - 8, y: y + 3.5, "text-anchor": "end"}, text));
    }
    this.svg.append(element("line", {class: "axis", x1: this.left, x2: this.right, y1: bottom, y2: bottom}));
  }

  rule(bottom) { // the threshold
    const value = this.threshold();
    if (value === null) return;
    const y = this.y(this.source.main, value);
    if (y < TOP || y > bottom) return;
    const line = element("line", {class: "threshold", x1: this.left, x2: this.right, y1: y, y2: y});
    this.svg.append(titled(line, `threshold ${value.toFixed(3)}`));
  }

  paths(wide) {
    const inside = element("g", {"clip-path": `url(#${this.clip})`});
    const shown = this.source.lines.filter((line) => !state.hidden.has(line.name));
    for (const line of shown) {
      inside.append(element("path", {class: `line ${line.style}`, "data-label": line.name, d: this.path(line)}));
    }
    this.svg.append(inside);
    if (!wide) return;
    const ends = shown.map((line) => Math.min(Math.max(this.y(line, line.values[this.to]), TOP), TOP + this.height));
    const places = apart(ends, TOP + 4, TOP + this.height - 6, LABEL_HEIGHT);
    shown.forEach((line, i) => {
      const text = line.name.length > 22 ? `${line.name.slice(0, 21)}…` : line.name;
      this.svg.append(element("text", {class: `label ${line.style}`, x: this.right + 10, y: places[i] + 3.5}, text));
    });
  }

  path(line) { // thinned to a lowest and a highest point per pixel
    const {numbers} = this.source, {values} = line, across = this.right - this.left;
    const step = Math.max(1, Math.floor((this.to - this.from + 1) / across / 2));
    const usual = (this.source.usual ??= median(numbers.slice(1).map((one, k) => one - numbers[k])) || 1);
    const gap = Math.max(GAP * (this.high - this.low), 3 * step, 3 * usual);
    let text = "", before = null, alone = false;
    const point = (i) => {
      const lift = before === null || numbers[i] - numbers[before] > gap;
      if (lift && alone) text += DOT;
      alone = lift;
      text += `${lift ? "M" : "L"}${this.x(numbers[i]).toFixed(1)} ${this.y(line, values[i]).toFixed(1)}`;
      before = i;
    };
    for (let i = this.from; i <= this.to; i += step) {
      if (step === 1) { point(i); continue; }
      let low = i, high = i;
      for (let k = i; k < Math.min(i + step, this.to + 1); k++) {
        if (values[k] < values[low]) low = k;
        if (values[k] > values[high]) high = k;
      }
      [...new Set([Math.min(low, high), Math.max(low, high)])].forEach(point);
    }
    return alone ? text + DOT : text;
  }

  axis(foot) {
    const {source} = this, room = this.right - this.left;
    const wanted = ticks(this.low, this.high, room / 85).map(([value]) => value).filter(Number.isInteger);
    for (const value of wanted) {
      const x = this.x(value), last = x > this.right - 16;
      const anchor = {x: last ? this.right + 6 : x, "text-anchor": last ? "end" : "middle"};
      this.svg.append(element("line", {class: "axis", x1: x, x2: x, y1: foot, y2: foot + 4}));
      this.svg.append(element("text", {class: "tick", y: foot + 16, ...anchor}, value));
      if (!source.timed) continue;
      const time = `${this.time(value).toFixed(1)} s`;
      this.svg.append(element("text", {class: "tick time", y: foot + 28, ...anchor}, time));
    }
    this.svg.append(element("text", {class: "title", x: 0, y: foot + 16}, "frame"));
  }

  time(number) { // seconds, also between frames
    const {numbers, seconds} = this.source, at = this.source.at(number), next = Math.min(at + 1, numbers.length - 1);
    const rate = next > at ? (seconds[next] - seconds[at]) / (numbers[next] - numbers[at]) : 0;
    return seconds[at] + rate * (number - numbers[at]);
  }

  markers(bottom) { // of events, by their rank; of those too near to each other, the most severe
    if (!this.plot) return;
    const {source} = this;
    const shown = source.events.filter((one) => one.peak >= this.from && one.peak <= this.to);
    const most = Math.floor((this.right - this.left) / 20), kept = shown.slice(0, most);
    const places = apart(kept.map((one) => this.x(source.numbers[one.peak])), this.left, this.right, 19);
    kept.forEach((one, i) => {
      const x = this.x(source.numbers[one.peak]), known = document.getElementById(`event-${one.rank}`);
      const link = element("a", {class: "marker", href: known ? `#event-${one.rank}` : "#events"});
      titled(link, `event ${one.rank}: ${source.told(one.peak)}`);
      const y = this.y(source.main, source.main.values[one.peak]);
      link.append(element("line", {x1: places[i], y1: 17, x2: x, y2: y}));
      link.append(element("circle", {cx: places[i], cy: 9, r: 8}));
      link.append(element("text", {x: places[i], y: 12.5, "text-anchor": "middle"}, one.rank));
      this.svg.append(link);
    });
  }

  mark(at) {
    this.svg.querySelector(".cursor")?.remove();
    const x = this.x(this.source.numbers[at]);
    this.svg.append(element("line", {class: "cursor", x1: x, x2: x, y1: TOP, y2: TOP + this.height}));
  }

  listen() {
    const {svg} = this;
    let start = null, box = null;
    svg.addEventListener("pointermove", (event) => {
      if (start !== null && event.buttons) {
        const from = Math.min(start, event.clientX), to = Math.max(start, event.clientX);
        const place = svg.getBoundingClientRect(), scale = this.width / place.width;
        box ??= svg.appendChild(element("rect", {class: "selected", y: TOP, height: this.height}));
        box.setAttribute("x", Math.max((from - place.left) * scale, this.left));
        box.setAttribute("width", (to - from) * scale);
      }
      this.hover(event);
    });
    svg.addEventListener("pointerleave", () => {
      readout.hidden = true;
      if (this.cursor === null) svg.querySelector(".cursor")?.remove(); else this.mark(this.cursor);
    });
    svg.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && !event.target.closest("a")) start = event.clientX;
    });
    svg.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const [from, to] = [start, event.clientX].sort((a, b) => a - b).map((x) => this.position(x));
      if (Math.abs(event.clientX - start) < 6) this.show(this.position(event.clientX));
      else if (to > from) this.zoom(from, to);
      start = box = null;
    });
    svg.addEventListener("dblclick", () => this.zoom(...this.whole));
    svg.addEventListener("keydown", (event) => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (!step || !this.plot) return;
      event.preventDefault();
      const at = (this.cursor ?? this.from) + step * (event.shiftKey ? 10 : 1);
      this.show(Math.min(Math.max(at, this.from), this.to));
    });
  }

  zoom(from, to) { Object.assign(this, {from, to}); this.draw(); }

  hover(event) {
    const at = this.position(event.clientX);
    this.mark(at);
    readout.replaceChildren(this.source.told(at));
    const tile = picture(this.sprite, this.source.numbers[at], 1);
    if (tile) readout.append(tile);
    for (const line of this.source.lines.filter((one) => !state.hidden.has(one.name))) {
      const row = document.createElement("div"), figure = document.createElement("b");
      figure.textContent = line.values[at].toFixed(2);
      row.append(line.name, figure);
      readout.append(row);
    }
    readout.hidden = false;
    const left = event.clientX + 18, wide = readout.offsetWidth;
    readout.style.left = `${Math.max(left + wide > innerWidth ? event.clientX - 18 - wide : left, 4)}px`;
    readout.style.top = `${Math.max(Math.min(event.clientY + 14, innerHeight - readout.offsetHeight - 6), 4)}px`;
  }

  show(at) { // the frame, below a video's chart
    this.cursor = at;
    this.mark(at);
    const figure = this.svg.parentElement.querySelector("figure.frame");
    if (!figure) return;
    const {source} = this, drawn = picture(source, source.numbers[at], 2);
    figure.querySelector("canvas").replaceWith(drawn ?? document.createElement("canvas"));
    const within = ({runs}) => runs.some(([start, stop]) => start <= at && at < stop);
    const marks = [{label: "labelled anomalous", runs: source.labels}, ...source.strips].filter(within);
    const facts = [`${source.main.name} ${source.main.values[at].toFixed(3)}`, ...marks.map((one) => one.label)];
    const kept = drawn && Number(drawn.dataset.frame);
    const near = drawn && kept !== source.numbers[at] ? ` (picture: frame ${kept}, the nearest kept)` : "";
    const none = drawn ? "" : "; no small frames were kept (report.thumbnails_mb)";
    figure.querySelector("figcaption").textContent = `${source.told(at)}${near}: ${facts.join(", ")}${none}`;
    figure.dataset.frame = source.numbers[at];
    figure.hidden = false;
  }
}
