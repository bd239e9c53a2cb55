"use strict";
// The picture of who is there: sentinels, the master, its replicas, the worker, and their links.
const GAP = 10, ROW_GAP = 44, LINE = 16, PAD = 6;
const PLAIN = "12px system-ui, sans-serif", BOLD = "700 13px system-ui, sans-serif";
const pen = document.createElement("canvas").getContext("2d");

function room(words, font) {
  pen.font = font;
  return pen.measureText(words).width;
}

function cut(words, wide, font) {
  if (room(words, font) <= wide) return words;
  let end = words.length;
  while (end && room(`${words.slice(0, end)}…`, font) > wide) end -= 1;
  return `${words.slice(0, end)}…`;
}

// At most three lines of words.
function wrapped(words, wide) {
  const lines = [""];
  for (const word of String(words).split(" ")) {
    const longer = `${lines[lines.length - 1]} ${word}`.trim();
    if (room(longer, PLAIN) <= wide || longer === word) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  if (lines.length > 3) lines.splice(2, lines.length, lines.slice(2).join(" "));
  return lines.map(line => cut(line, wide, PLAIN));
}

const LINKS = {
  promotable: ["good", "could be promoted"], up: ["warn", "linked, not promotable"],
  syncing: ["warn", "loads the master's data"], loading: ["warn", "loads its data"],
  down: ["bad", "link to the master is down"], "not named": ["bad", "not the sentinels' master"],
  silent: ["bad", "no answer"],
};

function nodeCard(node) {
  const [mark, link] = node.role === "master" && node.link === "up"
    ? ["good", "takes the writes"] : LINKS[node.link];
  const facts = [];
  if (node.behind_bytes !== null) facts.push(`${size(node.behind_bytes)} behind`);
  if (node.heard_seconds !== null) facts.push(`heard ${duration(node.heard_seconds)} ago`);
  if (node.offset !== null) facts.push(`offset ${node.offset.toLocaleString("en-GB")}`);
  if (node.keys !== null) facts.push(`${node.keys.toLocaleString("en-GB")} keys`);
  return {
    name: node.name, mark, role: node.role, kind: node.role,
    lines: [node.role === "silent" ? node.problem || link : link, ...facts],
    follows: node.follows, link: node.link,
  };
}

function sentinelCard(sentinel) {
  const silent = sentinel.names === null;
  const lines = silent ? [sentinel.problem || "no answer"]
    : [`names ${sentinel.names}`, sentinel.may_vote ? "may vote" : "no majority to vote with"];
  if (sentinel.witness) lines.push(`witness: ${sentinel.witness_trouble || sentinel.witness}`);
  const fine = sentinel.agrees && sentinel.may_vote && !sentinel.witness_trouble;
  return {
    name: sentinel.name, mark: silent ? "bad" : fine ? "good" : "warn", role: "",
    kind: silent ? "silent" : "sentinel", lines, follows: sentinel.names, agrees: sentinel.agrees,
  };
}

function workerCard(worker) {
  const card = (mark, ...lines) => ({
    name: "backup worker", mark, role: "", kind: mark === "bad" ? "silent" : "worker", lines,
    follows: worker.follows,
  });
  if (worker.absent) return card("warn", worker.absent);
  if (!worker.running) return card("bad", "does not run");
  const log = worker.follows ? `log from ${worker.follows}` : "follows nobody";
  const age = worker.log_age === null ? [] : [`${duration(worker.log_age)} not yet stored`];
  return card(worker.troubles.length ? "warn" : "good", worker.role, log, ...age);
}

function placed(cards, least, width, top) {
  if (!cards.length) return top;
  const inner = width - 2;  // a border is drawn half outside of its card
  const most = Math.max(1, Math.floor((inner + GAP) / (least + GAP)));
  const columns = Math.min(cards.length, most);
  const wide = Math.floor(Math.min(250, (inner - GAP * (columns - 1)) / columns));
  let y = top;
  for (let first = 0; first < cards.length; first += columns) {
    const row = cards.slice(first, first + columns);
    for (const card of row) card.wrapped = card.lines.flatMap(line => wrapped(line, wide - 2 * PAD));
    const high = 2 * PAD + LINE * (1 + Math.max(...row.map(card => card.wrapped.length)));
    const left = (width - row.length * wide - GAP * (row.length - 1)) / 2;
    row.forEach((card, n) => Object.assign(card, {
      x: Math.round(left + n * (wide + GAP)), y, wide, high,
    }));
    y += high + GAP;
  }
  return y - GAP + ROW_GAP;
}

function cardShape(card) {
  const kind = { master: "card card-master", silent: "card card-silent" }[card.kind] || "card";
  const role = card.role && card.role !== "silent" ? ` ${card.role}` : "";
  const sign = `${SIGNS[card.mark]} `;
  const name = cut(card.name, card.wide - 2 * PAD - room(sign, BOLD) - room(role, PLAIN), BOLD);
  return shape("g", { "data-card": card.name },
    shape("title", {}, `${card.name}${role}: ${card.lines.join(", ")}`),
    shape("rect", { x: card.x, y: card.y, width: card.wide, height: card.high, rx: 6, class: kind }),
    shape("text", { x: card.x + PAD, y: card.y + PAD + 11 },
      shape("tspan", { class: `title ${card.mark}` }, sign),
      shape("tspan", { class: "title" }, name), shape("tspan", { class: "soft" }, role)),
    ...card.wrapped.map((line, n) =>
      text(card.x + PAD, card.y + PAD + 11 + LINE * (n + 1), "soft", line)));
}

// From the middle of a card's edge to that of another, whichever of both stands above.
function linkShape(from, to, kind) {
  const down = to.y > from.y;
  const [x1, y1] = [from.x + from.wide / 2, down ? from.y + from.high : from.y];
  const [x2, y2] = [to.x + to.wide / 2, down ? to.y : to.y + to.high];
  const bend = (y2 - y1) / 2;
  return shape("path", {
    class: `link ${kind}`, "data-link": `${from.name} ${to.name}`,
    d: `M${x1} ${y1} C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`,
  });
}

function topology(state, width) {
  const nodes = state.nodes.map(nodeCard), sentinels = state.sentinels.map(sentinelCard);
  const leads = (node, n) => node.role === "master" || (state.nodes[n].named && node.role !== "replica");
  const first = nodes.filter(leads), others = nodes.filter(node => !first.includes(node));
  const worker = workerCard(state.worker);
  let y = placed(sentinels, 104, width, 1);
  for (const row of [first, others]) y = placed(row, 150, width, y);
  y = placed([worker], 200, width, y);
  const find = name => nodes.find(node => node.name === name);
  const links = [
    ...sentinels.map(s => [s, find(s.follows), s.agrees ? "link-vote" : "link-apart"]),
    ...nodes.map(n => [n, find(n.follows), n.link === "promotable" ? "" : "link-down"]),
    [worker, find(worker.follows), "link-log"],
  ].filter(([, to]) => to);
  const cards = [...sentinels, ...nodes, worker];
  const label = cards.map(c => `${c.name} ${c.role}: ${c.lines.join(", ")}`).join("; ");
  return picture(width, y - ROW_GAP + 1, label,
    ...links.map(link => linkShape(...link)), ...cards.map(cardShape));
}

function members(state) {
  const row = cells => el("tr", {}, ...cells.map(cell => el("td", {}, cell)));
  const body = [
    ...state.nodes.map(node => [node, nodeCard(node)]),
    ...state.sentinels.map(sentinel => [sentinel, sentinelCard(sentinel)]),
  ].map(([member, card]) => row([
    card.name, card.role || "sentinel", member.address, card.follows || "–", card.lines.join(", "),
  ]));
  const head = ["name", "role", "address", "follows or names", "state"];
  return el("table", {}, el("thead", {}, el("tr", {},
    ...head.map(cell => el("th", { scope: "col" }, cell)))), el("tbody", {}, ...body));
}
