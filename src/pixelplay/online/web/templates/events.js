// The live page's list of events.

function moment(one) { return one.seconds === null ? `frame ${one.frame}` : time(one.seconds, 1); }

function when(data) {
  const {start, end, over} = data, now = page.status?.seconds ?? null;
  const stop = over ? end.seconds : now;
  const lasts = start.seconds === null || stop === null ? "" : `, ${duration(Math.max(stop - start.seconds, 0))}`;
  return over ? `${moment(start)} to ${moment(end)}${lasts}` : `since ${moment(start)}${lasts}`;
}

function tell(data) {
  let one = events.get(data.id);
  if (!one) {
    one = {row: made("article", "event"), seen: made("div", "seen"), what: made("div", "what")};
    Object.assign(one, {problem: null, busy: false});
    one.row.append(one.seen, one.what);
    $("list").prepend(one.row);
    events.set(data.id, one);
  }
  one.data = data;
  one.row.dataset.event = data.id;
  one.row.classList.toggle("accepted", data.accepted);
  look(one);
  describe(one);
}

function look(one) { // a clip is put in its place once, so that it goes on playing
  const {data, seen} = one, at = `events/${encodeURIComponent(data.id)}`, what = `event at ${moment(data.peak)}`;
  if (data.clip && seen.firstChild?.tagName !== "VIDEO") {
    const video = made("video");
    Object.assign(video, {controls: true, preload: "none", playsInline: true});
    Object.assign(video, {src: `${at}.mp4`, title: `Clip of the ${what}`});
    seen.replaceChildren(video);
  } else if (!data.clip && data.thumbnail && !seen.firstChild) {
    const image = made("img");
    Object.assign(image, {src: `${at}.jpg`, alt: `Frame of the ${what}`});
    seen.replaceChildren(image);
  }
  if (data.clip && data.thumbnail && !seen.firstChild.poster) seen.firstChild.poster = `${at}.jpg`;
}

function describe(one) {
  const {data} = one, chance = data.tail_probability;
  one.when = made("span", "", when(data));
  const facts = [
    `highest at ${moment(data.peak)}: ${data.stream} ${figure(data.score)}, threshold ${figure(data.threshold)}`,
    ...(chance === null ? [] : [`as high by chance: ${figure(100 * chance)} %`]),
  ];
  const chips = [data.over ? made("span", "chip", "over") : made("span", "chip alarm", "going on")];
  if (data.accepted) chips.push(made("span", "chip good", "accepted as normal"));
  chips.push(made("span", "chip", `found by ${data.found_by.join(" and ")}`));
  chips.push(...data.zones.map((zone) => made("span", "chip", `zone ${zone}`)));
  const shares = data.shares.map(([name, share]) => {
    const bar = made("i");
    bar.style.width = `${100 * Math.min(Math.max(share ?? 0, 0), 1)}%`;
    return made("li", "", made("span", "", name), bar, made("b", "", `${Math.round(100 * (share ?? 0))} %`));
  });
  const list = made("ul", "shares", ...shares);
  list.setAttribute("aria-label", "Which detectors saw it");
  const tracks = data.tracks.slice(0, 4).map(([label, track, score]) => `${label}, track ${track} (${figure(score)})`);
  if (data.tracks.length > 4) tracks.push(`${data.tracks.length - 4} more`);
  const problem = one.problem && made("p", "remark", one.problem);
  problem?.setAttribute("role", "alert");
  one.what.replaceChildren(...[
    made("h3", "", one.when), made("p", "facts", facts.join(" · ")), made("p", "chips", ...chips),
    shares.length ? list : null, tracks.length ? made("p", "facts", tracks.join("; ")) : null,
    ...data.remarks.map((text) => made("p", "facts", text)), problem, accepting(one),
  ].filter((part) => part !== null));
}

function accepting(one) {
  if (!page.about?.accepts || !one.data.over || one.data.accepted) return null;
  const button = made("button", "", one.busy ? "Learning …" : "This is normal");
  Object.assign(button, {type: "button", disabled: one.busy, title: "Events like this one are not reported any more"});
  button.addEventListener("click", () => accept(one));
  return button;
}

async function accept(one) {
  Object.assign(one, {busy: true, problem: null});
  describe(one);
  try {
    const answer = await fetch(`accept/${encodeURIComponent(one.data.id)}`, {method: "POST"});
    const told = answer.headers.get("Content-Type")?.includes("json");
    one.problem = told ? (await answer.json()).problem : await answer.text();
    if (answer.ok) tell({...one.data, accepted: true});
  } catch {
    one.problem = "No connection to infer.py.";
  }
  one.busy = false;
  describe(one);
}

function forget() { // of the oldest, as many as the server has forgotten
  const most = page.about?.events ?? Infinity;
  for (const [id, one] of events) {
    if (events.size <= most) break;
    one.row.remove();
    events.delete(id);
    $("forgotten").hidden = false;
    $("forgotten").textContent = `The newest ${most}; all of them are in the folder of results.`;
  }
  $("none").hidden = events.size > 0;
}

