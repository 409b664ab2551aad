// What charts are made from: scores and events from #data (see pixelplay/report/timelines.py), ticks, small frames.
// Positions 0 … T-1 index arrays.

const DATA = JSON.parse(document.getElementById("data").textContent);

function bytes(text) { return Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer; }

function unpacked(values) {
  if (values.f64) return new Float64Array(bytes(values.f64));
  const scale = (values.high - values.low) / 65535;
  return Float64Array.from(new Uint16Array(bytes(values.u16)), (one) => values.low + scale * one);
}

class Source { // a video, or a track: what a chart draws
  constructor(data) {
    Object.assign(this, data);
    this.numbers = data.numbers.flatMap(([first, count]) => Array.from({length: count}, (_, i) => first + i));
    const times = data.seconds;
    this.seconds = times.f64 ? unpacked(times) : this.numbers.map((_, i) => times.start + times.step * i);
    this.lines = data.lines.map((line) => ({...line, values: unpacked(line.values)}));
    this.main = this.lines.at(-1);
  }
  at(number) { // position of the frame with this number, or of the nearest one
    let low = 0, high = this.numbers.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.numbers[middle] < number) low = middle; else high = middle;
    }
    return number - this.numbers[low] < this.numbers[high] - number ? low : high;
  }
  told(at) { return `frame ${this.numbers[at]}${this.timed ? ` (${this.seconds[at].toFixed(2)} s)` : ""}`; }
}

const videos = DATA.videos.map((data) => new Source(data));
const tracks = DATA.tracks.map((data) => new Source(data));
const state = {hidden: new Set(), threshold: DATA.rule?.threshold ?? null, charts: []};

// The events of a video's fused score above a threshold: [first, last] positions. The rule is that of
// pixelplay/events/machine.py, which a test holds it to.
function stretches(source, threshold) {
  const {base, hysteresis, minDuration, mergeGap} = DATA.rule;
  const end = base + hysteresis * (threshold - base), {seconds} = source, scores = source.main.values;
  source.spacing ??= scores.length > 1 ? median(seconds.slice(1).map((one, i) => one - seconds[i])) : 0;
  const {spacing} = source, found = [];
  const rounding = spacing / 2;
  let open = null;
  for (let i = 0; i < scores.length; i++) {
    if (open && seconds[i] - seconds[open[1]] - spacing > mergeGap + rounding) { found.push(open); open = null; }
    const within = open !== null && open[1] === i - 1;
    if (!(within ? scores[i] >= end : scores[i] > threshold)) continue;
    if (open) open[1] = i; else open = [i, i];
  }
  if (open) found.push(open);
  return found.filter(([from, to]) => seconds[to] - seconds[from] + spacing >= minDuration - rounding);
}

function count() { return videos.reduce((sum, source) => sum + source.above.length, 0); }

function recount() {
  for (const source of videos) source.above = DATA.rule ? stretches(source, state.threshold) : [];
}

function apart(wanted, low, high, gap) { // close to the wanted places, in their order, at least `gap` apart
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]), places = [];
  let floor = low;
  for (const i of order) { places[i] = Math.max(wanted[i], floor); floor = places[i] + gap; }
  let ceiling = Math.max(high, low + gap * (places.length - 1));
  for (const i of order.reverse()) { places[i] = Math.min(places[i], ceiling); ceiling = places[i] - gap; }
  return places;
}

function frames(runs) { return runs.reduce((sum, [start, stop]) => sum + stop - start, 0); }

function picture(source, number, scale) { // a canvas of the small frame nearest to this one; null where there are none
  const {sprite} = source, image = sprite && document.getElementById(`sprite-${source.anchor}`);
  if (!image?.complete) return null;
  const far = sprite.frames.map((one) => Math.abs(one - number)), near = far.indexOf(Math.min(...far));
  const [width, height] = sprite.size, made = document.createElement("canvas");
  Object.assign(made, {width: scale * width, height: scale * height});
  made.dataset.frame = sprite.frames[near];
  const [column, row] = [near % sprite.columns, Math.floor(near / sprite.columns)];
  const from = [column * width, row * height, width, height];
  made.getContext("2d").drawImage(image, ...from, 0, 0, scale * width, scale * height);
  return made;
}
