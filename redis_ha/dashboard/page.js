"use strict";
// Asks the process for its state again and again, and draws what has changed.
const place = id => document.getElementById(id);
const drawn = new Map();
let state = null, received = 0, trouble = "";

function update(id, data, draw) {
  const element = place(id), width = element.clientWidth;
  const key = JSON.stringify([width, data]);
  if (drawn.get(id) === key) return;
  drawn.set(id, key);
  element.replaceChildren(...[draw(Math.max(240, width))].flat());
}

const word = (kind, title, main, detail) =>
  el("div", { class: `word ${kind}` }, el("span", { class: "soft" }, title),
    el("b", {}, `${SIGNS[kind] || "…"} ${main}`), el("span", {}, detail));

const counted = (count, what) => `${count} ${what}${count === 1 ? "" : "s"} below`;

function healthWord({ headline: { health, reasons }, outage }) {
  const kind = { healthy: "good", degraded: "warn", down: "bad" }[health] || "";
  const down = outage.down_seconds;
  const detail = down !== null ? `no writable master for ${duration(down)}`
    : reasons.length ? counted(reasons.length, "reason") : "with a real write";
  return word(kind, "Health", health || "not known yet", detail);
}

function readyWord({ headline: { ready, not_ready } }) {
  if (ready === null) return word("", "A failover now", "not known yet", "");
  return ready ? word("good", "A failover now", "would work", "")
    : word("bad", "A failover now", "would not work", counted(not_ready.length, "reason"));
}

function masterWord({ master, outage, nodes, look }) {
  const known = outage.sentinels;
  const detail = known ? `epoch ${known.epoch}, for at least ${duration(known.seconds_ago)}` : "no sentinel answers";
  const node = nodes.find(node => node.name === master);
  if (node && node.role === "master" && outage.down_seconds === null) return word("good", "Master", master, detail);
  const named = master && !look.silent ? `, ${master} is named` : "";
  return look.age === null ? word("", "Master", "not known yet", "") : word("bad", "Master", `none${named}`, detail);
}

function backupWord({ worker }) {
  if (worker.absent) return word("warn", "Backup", "not known", worker.absent);
  const proof = worker.proof_age === null ? "never proven" : `proven ${duration(worker.proof_age)} ago`;
  const taken = worker.snapshot_age === null ? "no snapshot yet" : `snapshot ${duration(worker.snapshot_age)} old`;
  return word(worker.troubles.length ? "bad" : "good", "Backup", proof, worker.troubles.join("; ") || taken);
}

function finding({ check, state: found, subject, reason, remedy }) {
  const kind = { bad: "bad", warning: "warn" }[found] || "";
  return el("li", {}, el("span", { class: kind }, `${SIGNS[kind] || "…"} `), el("b", {}, `${check}: `),
    `${subject ? `${subject}: ` : ""}${reason}`, remedy ? el("small", {}, `→ ${remedy}`) : null);
}

function reasons({ headline, problems }) {
  const list = (title, items) =>
    items.length ? [el("div", {}, el("h3", {}, title), el("ul", {}, ...items))] : [];
  return [
    ...list(`Why it is ${headline.health || "not known"}`, headline.reasons.map(finding)),
    ...list("Why a failover would not work", headline.not_ready.map(finding)),
    ...list("What this page could not find out", problems.map(problem => el("li", {}, problem))),
  ];
}

const moment = at => new Date(at * 1000).toLocaleString("en-GB");

function failovers({ failovers: seen, since }) {
  if (!seen.length) return el("p", {}, `None seen since ${moment(since)}.`);
  const head = ["time", "from", "to", "epoch", "no master for"];
  const rows = seen.map(one => el("tr", {}, ...[
    moment(one.at), one.old, one.new, String(one.epoch), `${one.seconds.toFixed(1)} s`,
  ].map(cell => el("td", {}, cell))));
  return el("div", { class: "scroll" }, el("table", { class: "nowrap" },
    el("thead", {}, el("tr", {}, ...head.map(cell => el("th", { scope: "col" }, cell)))),
    el("tbody", {}, ...rows)));
}

function watched({ outage, interval }) {
  const known = outage.sentinels;
  const said = known ? ` The sentinels count epoch ${known.epoch}; the master has its role for at least ${duration(known.seconds_ago)}.` : "";
  return `Watched for ${duration(outage.watched_seconds)}, exact to ${interval} s: `
    + `${outage.total_seconds.toFixed(1)} s without a writable master.${said}`;
}

const HOURS = {
  proven: ["✓", "proven"], unproven: ["?", "taken, not proven"], failed: ["✗", "failed or bad"],
  missing: ["–", "missing"], between: ["", "none due"], due: ["…", "this hour's is due"],
  before: ["·", "older than the first"], future: ["", "to come"],
};
const SHOWN = ["proven", "unproven", "failed", "missing", "between"];

function hourCell(day, hour, number) {
  const [sign, meaning] = HOURS[hour.state] || ["?", hour.state];
  const said = [`${day.date} ${String(number).padStart(2, "0")}:00 UTC: ${meaning}`, ...hour.snapshots, hour.note];
  const label = said.filter(Boolean).join(", ");
  return el("td", { class: `hour-${hour.state}`, title: label, "data-hour": hour.state },
    el("span", { "aria-hidden": "true" }, sign), el("span", { class: "hidden" }, label));
}

function backups({ days, problem }) {
  if (problem) return el("p", { class: "warn" }, `! The backups can't be shown: ${problem}`);
  const hours = [...Array(24).keys()].map(n => el("th", { scope: "col" },
    n % 6 ? el("span", { class: "hidden" }, String(n)) : String(n)));
  const rows = days.map(day => el("tr", {}, el("th", { scope: "row" }, day.date.slice(5)),
    ...day.hours.map((hour, number) => hourCell(day, hour, number))));
  return [
    el("table", { class: "calendar" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "UTC"), ...hours)),
      el("tbody", {}, ...rows)),
    el("ul", { class: "key" }, ...SHOWN.map(kind => el("li", {},
      el("span", { class: `swatch hour-${kind}`, "aria-hidden": "true" }, HOURS[kind][0] || "\u00a0"),
      HOURS[kind][1]))),
  ];
}

function write(id, words) {
  if (place(id).textContent !== words) place(id).textContent = words;
}

// Only what stays the same while nothing changes: a screen reader says it each time.
function warning(away) {
  if (trouble || away > Math.max(10, 5 * (state ? state.interval : 1))) {
    const since = state ? ` since ${clock(Date.now() / 1000 - away)}` : "";
    return `No answer from the dashboard's process${since}${trouble && `: ${trouble}`}. What is shown is old.`;
  }
  const { look } = state;
  if (look.silent) {
    return "Nothing in the cluster answers"
      + (look.answer_age === null ? "." : `; the topology is as it was at ${clock(state.now - look.answer_age)}.`);
  }
  return state.stale ? `The last look at the cluster was at ${clock(state.now - look.age)}.` : "";
}

// Each second, also while no answer comes.
function tick() {
  const away = (performance.now() - received) / 1000;
  const said = state || trouble ? warning(away) : "";
  write("warning", said);
  place("warning").hidden = !said;
  const silent = Boolean(state && state.look.silent && !trouble);
  document.body.classList.toggle("stale", Boolean(said) && !silent);
  document.body.classList.toggle("silent", silent);
  if (!state || state.look.age === null) return;
  write("age", `as of ${duration(state.look.age + away)} ago · a look each ${state.interval} s`
    + ` takes ${milliseconds(state.look.seconds * 1000)}`);
}

function show() {
  const { headline, outage, worker, problems, nodes, sentinels, master, look } = state;
  update("headline", [headline, outage, worker, master, look.silent],
    () => [healthWord, readyWord, masterWord, backupWord].map(draw => draw(state)));
  update("reasons", [headline, problems], () => reasons(state));
  update("topology", [nodes, sentinels, worker], width => topology(state, width));
  update("members", [nodes, sentinels], () => members(state));
  update("lines", [state.history, state.failovers], width => lines(state, width));
  update("failovers", state.failovers, () => failovers(state));
  write("watched", watched(state));
  update("backups", [state.backups.days, state.backups.problem], () => backups(state.backups));
  write("listed", state.backups.age === null ? "" : `Asked ${duration(state.backups.age)} ago.`);
  const ready = { true: "a failover would work", false: "a failover would not work" }[headline.ready] || "";
  write("spoken", `${headline.health || "not known yet"}; ${ready}; master ${master || "none"}`);
  document.title = `${headline.health || "…"} – Redis cluster ${state.cluster}`;
}

async function ask() {
  try {
    const reply = await fetch(`state.json${location.search}`, { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (!reply.ok) throw new Error(reply.status === 403 ? "it was started anew, with another address" : `it says ${reply.status}`);
    state = await reply.json();
    received = performance.now();
    trouble = "";
  } catch (error) {
    trouble = error.name === "TypeError" ? "nobody listens there any more" : error.message;
  }
}

async function follow() {
  await ask();
  try {
    if (state) show();
  } catch (error) {
    trouble = `this page can't draw its answer (${error.message})`;
  }
  tick();
  setTimeout(follow, (state ? Math.max(1, state.interval) : 1) * 1000);
}

addEventListener("resize", () => state && show());
setInterval(tick, 1000);
follow();
