"use strict";
// Lines over the last minutes, and the strip that says when writes worked.
const LEFT = 58, RIGHT = 8, TOP = 16, HIGH = 92;

const scale = (history, width) => at =>
  LEFT + (at - history.begin) / (history.step * history.strip.length) * (width - LEFT - RIGHT);

// The next number above that is 1, 2 or 5 times a power of ten (or of two for bytes).
function ceiling(value, base) {
  const power = base ** Math.floor(Math.log(value) / Math.log(base));
  const steps = base === 10 ? [1, 2, 5, 10] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
  return power * steps.find(step => step * power >= value);
}

// A look that was late leaves a step or two without a value: no reason to break the line.
function path(values, x, y) {
  let d = "", last = -Infinity;
  values.forEach((value, n) => {
    if (value === null) return;
    d += `${n - last > 3 ? "M" : "L"}${x(n).toFixed(1)} ${y(value).toFixed(1)}`;
    if (n - last > 3) d += "h.1";
    last = n;
  });
  return d;
}

function axis(history, x, bottom) {
  const end = history.begin + history.step * history.strip.length;
  const span = (end - history.begin) / 60;
  const apart = span > 6 ? 5 : span > 3 ? 2 : 1;
  const ticks = [...Array(Math.floor(span / apart + 0.01) + 1).keys()].map(n => n * apart);
  return ticks.flatMap(minutes => {
    const at = x(Math.max(history.begin, end - minutes * 60));
    const kind = minutes === 0 ? "soft end" : at < LEFT + 20 ? "soft" : "soft middle";
    return [
      shape("line", { class: "grid", x1: at, x2: at, y1: TOP, y2: bottom }),
      text(at, bottom + 15, kind, minutes ? `−${minutes} min` : "now"),
    ];
  });
}

function marks(state, x, bottom) {
  const shown = state.failovers.filter(failover => failover.at >= state.history.begin);
  return shown.map(failover => shape("line", {
    class: "mark", x1: x(failover.at), x2: x(failover.at), y1: TOP - 8, y2: bottom,
    "data-failover": failover.new,
  }));
}

function chart(state, width, name, series, unit) {
  const { history } = state, x = scale(history, width), bottom = TOP + HIGH;
  const at = n => x(history.begin + (n + 0.5) * history.step);
  const values = series.flatMap(line => line.values).filter(value => value !== null);
  const top = ceiling(Math.max(unit.least, ...values), unit.base);
  const y = value => bottom - value / top * HIGH;
  const rules = [0, 0.5, 1].flatMap(share => [
    shape("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(share * top), y2: y(share * top) }),
    text(LEFT - 6, y(share * top) + 4, "soft end", unit.write(share * top)),
  ]);
  const now = line => line.values.slice(-4).findLast(value => value !== null);
  const latest = series.map(line => `${line.name} ${now(line) === undefined ? "not known" : unit.write(now(line))}`);
  return [
    el("h3", {}, name, el("span", {}, values.length ? ` – at most ${unit.write(Math.max(...values))}` : " – not measured yet")),
    picture(width, bottom + 20, `${name}, latest: ${latest.join(", ")}`,
      ...rules, ...axis(history, x, bottom), ...marks(state, x, bottom),
      ...series.map((line, n) => shape("path", {
        class: `line line-${n % 3}`, d: path(line.values, at, y), "data-line": line.name,
      }))),
    el("ul", { class: "key" }, ...series.map((line, n) => el("li", {},
      shape("svg", { width: 26, height: 8, "aria-hidden": "true" },
        shape("path", { class: `line line-${n % 3}`, d: "M2 4H24" })), latest[n]))),
  ];
}

const STRIP = { ok: "worked", partly: "worked and failed", failed: "failed", none: "nobody looked" };

function strip(state, width) {
  const { history } = state, x = scale(history, width), bottom = TOP + 22;
  const runs = [];
  history.strip.forEach((kind, n) => {
    if (runs.length && runs[runs.length - 1].kind === kind) runs[runs.length - 1].end = n + 1;
    else runs.push({ kind, begin: n, end: n + 1 });
  });
  const time = n => history.begin + n * history.step;
  // What failed is higher than what worked: it is seen without its colour, too.
  const bars = runs.map(({ kind, begin, end }) => {
    const high = { failed: 22, partly: 22, ok: 12, none: 4 }[kind];
    return shape("rect", {
      class: `strip-${kind}`, x: x(time(begin)), y: bottom - high, height: high,
      width: Math.max(1, x(time(end)) - x(time(begin))), "data-strip": kind,
    }, shape("title", {}, `${clock(time(begin))} to ${clock(time(end))}: ${STRIP[kind]}`));
  });
  const share = history.looks ? `${(100 * history.available / history.looks).toFixed(2)} %` : "not known";
  const words = `${history.available} of ${history.looks} worked, ${share}`;
  return [
    el("h3", {}, "Writes as the application ", el("span", {}, `– ${words}`)),
    picture(width, bottom + 20, `Writes: ${words}`, ...axis(history, x, bottom), ...bars,
      ...marks(state, x, bottom)),
    el("ul", { class: "key" }, ...Object.entries(STRIP).map(([kind, meaning]) => el("li", {},
      shape("svg", { width: 12, height: 12, "aria-hidden": "true" },
        shape("rect", { class: `strip-${kind}`, width: 12, height: 12, rx: 2 })), meaning)),
    el("li", {}, shape("svg", { width: 12, height: 12, "aria-hidden": "true" },
      shape("line", { class: "mark", x1: 6, x2: 6, y1: 0, y2: 12 })), "failover")),
  ];
}

function lines(state, width) {
  const time = { least: 1, base: 10, write: milliseconds }, amount = { least: 1024, base: 1024, write: size };
  const lags = Object.entries(state.history.lags).map(([name, values]) => ({ name, values }));
  return [
    ...strip(state, width),
    ...chart(state, width, "Round trip of a write and a read", [{ name: "last", values: state.history.milliseconds }], time),
    ...chart(state, width, "Lag of the replicas", lags, amount),
  ];
}
