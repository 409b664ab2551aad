// The page: its charts, the tools above the timelines, tables that sort and fold, and print.
const PRINTED = 680; // pixels: the width of a printed page
const readout = document.createElement("div");
readout.id = "readout";
readout.hidden = true;
document.body.append(readout);

recount();
for (const svg of document.querySelectorAll("svg.timeline")) new Chart(svg, videos[svg.dataset.video]);
for (const svg of document.querySelectorAll("svg[data-event]")) {
  const source = videos[svg.dataset.video], event = source.events.find((one) => one.rank === Number(svg.dataset.event));
  const around = Math.max(event.to - event.from, 20); // frames before and after: as many again
  const from = Math.max(event.from - around, 0), to = Math.min(event.to + around, source.numbers.length - 1);
  new Chart(svg, source, {from, to, height: 90, threshold: () => DATA.rule?.threshold ?? null});
}
for (const svg of document.querySelectorAll("svg[data-track]")) {
  const source = tracks[svg.dataset.track];
  new Chart(svg, source, {height: 90, threshold: () => DATA.objectThreshold, sprite: videos[source.video]});
}

function draw(width) { for (const chart of state.charts) chart.draw(width); }

let waiting = false;
function soon(work) { // once per picture of the screen
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; work(); });
}

draw();
addEventListener("resize", () => soon(() => draw()));
addEventListener("beforeprint", () => {
  for (const chart of state.charts) chart.draw(chart.plot ? PRINTED : PRINTED / 2);
});
addEventListener("afterprint", () => draw());
for (const one of document.querySelectorAll("details")) one.addEventListener("toggle", () => soon(() => draw()));

for (const button of document.querySelectorAll("[data-line]")) {
  button.addEventListener("click", () => {
    const name = button.dataset.line, hide = !state.hidden.has(name);
    if (hide) state.hidden.add(name); else state.hidden.delete(name);
    button.setAttribute("aria-pressed", String(!hide));
    draw();
  });
}

const slider = document.getElementById("threshold"), articles = [...document.querySelectorAll("article.video")];
document.querySelector("form.tools").addEventListener("submit", (event) => event.preventDefault());

function tell() {
  if (!slider) return;
  const total = count(), at = state.threshold === DATA.rule.threshold ? ", as stored" : "";
  const text = `${state.threshold.toFixed(3)}${at}: ${total} event${total === 1 ? "" : "s"} of frames`;
  document.getElementById("counted").textContent = text;
  articles.forEach((article, i) => {
    const own = videos[i].above.length;
    article.dataset.events = own;
    article.querySelector(".counted").textContent = ` · ${own} event${own === 1 ? "" : "s"}`;
  });
}

function move(threshold) {
  state.threshold = threshold;
  recount();
  tell();
  sorted();
  soon(() => draw());
}

if (slider) {
  const [low, high] = videos[0].main.axis, {threshold} = DATA.rule;
  Object.assign(slider, {min: Math.min(low, threshold), max: Math.max(high, threshold), value: threshold});
  slider.addEventListener("input", () => move(Number(slider.value)));
  document.getElementById("stored").addEventListener("click", () => { slider.value = threshold; move(threshold); });
}

const find = document.getElementById("filter"), sort = document.getElementById("sort");
function filtered() {
  const wanted = find.value.trim().toLowerCase();
  for (const article of articles) article.hidden = !article.dataset.name.toLowerCase().includes(wanted);
  const left = articles.filter((article) => !article.hidden).length;
  document.getElementById("found").textContent = wanted ? `${left} of ${articles.length} videos` : "";
  soon(() => draw());
}
function sorted() {
  const key = sort.value, number = (one) => one.dataset[key] === "" ? -Infinity : Number(one.dataset[key]);
  const named = (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined, {numeric: true});
  const order = {order: () => 0, name: named}[key];
  const wanted = [...articles].sort(order ?? ((a, b) => number(b) - number(a)));
  const list = document.getElementById("videos");
  if (wanted.some((article, i) => list.children[i] !== article)) list.append(...wanted);
}
find.addEventListener("input", filtered);
sort.addEventListener("change", sorted);
tell();

for (const button of document.querySelectorAll("button.fold")) {
  button.addEventListener("click", () => {
    const open = button.closest("tbody").classList.toggle("open");
    button.setAttribute("aria-expanded", String(open));
  });
}
for (const button of document.querySelectorAll("button[data-column]")) {
  button.addEventListener("click", () => {
    const table = button.closest("table"), head = button.parentElement;
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const one of table.querySelectorAll("th[aria-sort]")) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (body) => {
      const text = body.rows[0].cells[button.dataset.column].dataset.value;
      return text === "" ? null : Number(text);
    };
    const bodies = [...table.tBodies].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return x === null || y === null ? (x === null) - (y === null) : down ? y - x : x - y;
    });
    table.tFoot.before(...bodies);
  });
}
