"use strict";
// Builds elements. Whatever the cluster says becomes a text node or the value of a harmless
// attribute: nothing here takes HTML, a style, an address or a handler.
const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter(child => child !== null));
  return element;
}

const el = (tag, attributes = {}, ...children) =>
  filled(document.createElement(tag), attributes, children);

const shape = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

function picture(width, height, label, ...children) {
  return shape("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label,
  }, ...children);
}

const text = (x, y, kind, words) => shape("text", { x, y, class: kind }, words);

function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  const hours = Math.floor(whole / 3600);
  return hours < 48 ? `${hours} h ${Math.floor(whole / 60) % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes, unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return unit ? `${value.toFixed(1)} ${units[unit]}` : `${Math.round(value)} B`;
}

const milliseconds = value => value >= 1000 ? `${(value / 1000).toFixed(1)} s`
  : `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ms`;

const clock = at => new Date(at * 1000).toLocaleTimeString("en-GB");

const SIGNS = { good: "✓", warn: "!", bad: "✗" };
