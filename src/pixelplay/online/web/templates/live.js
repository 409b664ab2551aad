// The live page: what /updates tells is kept and drawn. Pictures are asked for one after another, so that a slow
// connection skips some. Whatever comes from data is set as text.

const SLOW = 5; // seconds without a frame that are shown
const page = {about: null, status: null, lines: {slots: [], seconds: [], score: [], threshold: [], members: new Map()}};
const shown = new Set(), events = new Map(); // members with a line; events by their ids, as they were first found
let ended = false, lost = false, drawn = 0;

const $ = (id) => document.getElementById(id);

function made(name, kind, ...content) {
  const one = document.createElement(name);
  if (kind) one.className = kind;
  one.append(...content);
  return one;
}

function figure(value, digits = 3) { return value === null ? "–" : String(Number(value.toPrecision(digits))); }

function clock(seconds, digits = 0) { // 1:02:03, 2:03.4
  const whole = digits ? Math.round(seconds * 10 ** digits) / 10 ** digits : Math.floor(seconds + 1e-6);
  const minutes = Math.floor(whole / 60);
  const rest = (whole - 60 * minutes).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function time(seconds, digits = 0) { // of a live source the time of day, with the day unless that is today
  const began = page.status?.began ?? null;
  if (began === null) return clock(seconds, digits);
  const at = new Date(1000 * (began + seconds)), of = at.toTimeString().slice(0, 8);
  return at.toDateString() === new Date().toDateString() ? of : `${at.toLocaleDateString()} ${of}`;
}

function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// --- what comes ------------------------------------------------------------------------------------------------------

const updates = new EventSource("updates");
updates.addEventListener("about", (event) => {
  const told = JSON.parse(event.data), {run, source, timeline} = told;
  if (page.about && page.about.server !== told.server) { // infer.py was started anew
    events.clear();
    $("list").replaceChildren();
  }
  page.about = told;
  document.title = $("title").textContent = `${run}, live`;
  $("run").textContent = run;
  $("source").textContent = source;
  const [count, unit] = timeline % 60 ? [timeline, "second"] : [timeline / 60, "minute"];
  $("span").textContent = `The fused score over the last ${count === 1 ? unit : `${count} ${unit}s`}, and its threshold. `
    + "Click a name to see its line; the ground is shaded where an event goes on.";
});
updates.onmessage = (event) => {
  const message = JSON.parse(event.data);
  lost = false;
  page.status = message.status;
  take(message.points, message.again);
  for (const one of message.events) tell(one);
  forget();
  draw();
};
updates.addEventListener("end", () => { ended = true; updates.close(); state(); });
updates.onerror = () => { if (!ended) { lost = true; state(); } };

function take(points, again) {
  const {lines} = page, columns = [lines.slots, lines.seconds, lines.score, lines.threshold];
  if (again) { columns.forEach((one) => { one.length = 0; }); lines.members.clear(); }
  for (const name of Object.keys(points.members)) {
    if (!lines.members.has(name)) lines.members.set(name, new Array(lines.slots.length).fill(null));
  }
  const all = [...columns, ...lines.members.values()];
  points.slots.forEach((slot, i) => {
    if (lines.slots.at(-1) === slot) all.forEach((one) => one.pop());
    const row = [slot, points.seconds[i], points.score[i], points.threshold[i]];
    for (const name of lines.members.keys()) row.push(points.members[name]?.[i] ?? null);
    row.forEach((value, k) => all[k].push(value));
  });
  const start = (lines.seconds.at(-1) ?? 0) - page.about.timeline;
  let old = lines.seconds.findIndex((one) => one >= start);
  if (old > 0) all.forEach((one) => one.splice(0, old));
}

// --- the picture and the figures -------------------------------------------------------------------------------------

async function follow() { // pictures, one after another, as long as somebody looks
  let last = -1;
  while (!ended) {
    const began = performance.now(), frames = page.status?.frames ?? 0;
    if (frames > 0 && frames !== last && !document.hidden && !lost) {
      try {
        const answer = await fetch("picture");
        if (answer.status === 200) { await paint(await answer.blob()); last = frames; }
      } catch { /* /updates says that the server can't be reached */ }
    }
    await new Promise((done) => setTimeout(done, Math.max(100 - (performance.now() - began), 20)));
  }
}

async function paint(blob) {
  const image = await createImageBitmap(blob), canvas = $("picture"), {width, height} = image;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
  canvas.getContext("2d").drawImage(image, 0, 0);
  image.close();
}

function state() {
  const {status} = page, chips = [];
  const add = (text, kind) => chips.push(made("span", `chip ${kind}`, text));
  if (ended) add("ended", "");
  else if (lost) add("no connection to infer.py", "alarm");
  else if (!status?.frames) add("waiting for the first frame", "");
  else if (status.silent_for > SLOW) add(`no frame for ${duration(status.silent_for)}`, "alarm");
  else add("live", "good");
  if (status?.alarm && !ended && !lost) add("alarm", "alarm");
  const text = (all) => [...all].map((one) => one.textContent).join();
  if (text(chips) !== text($("state").children)) $("state").replaceChildren(...chips); // else it is read out again
  document.querySelector(".picture").classList.toggle("alarm", chips.some((one) => one.textContent === "alarm"));
  if (page.about) document.title = `${status?.alarm && !ended ? "Alarm: " : ""}${page.about.run}, live`;
}

function figures() {
  const {status} = page;
  const told = {
    score: figure(status.score), threshold: status.threshold === null ? "" : `threshold ${figure(status.threshold)}`,
    time: status.seconds === null ? "–" : time(status.seconds),
    frame: status.number === null ? "" : `frame ${status.number}`,
    fps: status.fps === null ? "–" : status.fps.toFixed(1),
    latency: status.latency === null ? "–" : `${(1000 * status.latency).toFixed(0)} ms`,
    scored: status.frames.toLocaleString("en"), dropped: status.dropped.toLocaleString("en"),
  };
  for (const [id, text] of Object.entries(told)) if ($(id).textContent !== text) $(id).textContent = text;
}

function draw() { // the chart four times a second at most, and not while nobody looks
  state();
  figures();
  key();
  for (const one of events.values()) if (!one.data.over) one.when.textContent = when(one.data);
  if (document.hidden || performance.now() - drawn < 240) return;
  drawn = performance.now();
  chart();
}

if (location.search) history.replaceState(null, "", location.pathname); // a token is in the cookie by now
addEventListener("resize", chart);
document.addEventListener("visibilitychange", () => { if (!document.hidden) chart(); });
follow();
