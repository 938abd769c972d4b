"use strict";

// Show what the server pushes while somebody looks: boards, why one is missing or old, and current visitors.

const RECONNECT_SECONDS = 5;
const OLD_BOARD_SECONDS = 900; // as on the server
const OLD_LIVE_SECONDS = 300;
const FORGOTTEN_LIVE_SECONDS = 3600;
const AGES_SECONDS = 10;

const all = (selector, parent = document) => [...parent.querySelectorAll(selector)];
const cardOf = (site) => document.querySelector(`[data-site="${CSS.escape(site)}"]`);
const now = () => Date.now() / 1000;
const waiting = new Map(); // boards that arrived while somebody used the one before

let source = null;

function connect() {
  if (source || document.hidden || !all("[data-site]").length) return;
  source = new EventSource(document.body.dataset.stream); // it connects again by itself
  source.onopen = () => cutOff(false);
  source.onerror = () => {
    cutOff(true);
    if (source?.readyState !== EventSource.CLOSED) return;
    disconnect(); // a proxy answered instead
    setTimeout(connect, RECONNECT_SECONDS * 1000);
  };
  const on = (event, act) =>
    source.addEventListener(event, ({ data }) => {
      const { site, ...rest } = JSON.parse(data);
      const card = cardOf(site);
      if (card) act(card, rest);
    });
  on("board", offer);
  on("notice", tell);
  on("live", count);
}

function disconnect() {
  source?.close();
  source = null;
}

function cutOff(is) {
  document.body.classList.toggle("is-cut-off", is);
  document.querySelector(".cut-off").hidden = !is;
}

function offer(card, { as_of, html }) {
  const board = card.querySelector(".board");
  if (board.querySelector("time")?.dateTime === as_of) return;
  if (board.contains(document.activeElement)) waiting.set(board, html);
  else show(board, html);
}

function show(board, html) {
  waiting.delete(board);
  const open = new Set(all("details[open]", board).map((part) => part.dataset.keep));
  board.innerHTML = html; // our own server's, which escapes what it shows
  for (const part of all("details", board)) part.open = open.has(part.dataset.keep);
  delete board.dataset.pending;
  board.removeAttribute("aria-busy");
  showAges();
  explain(board);
}

function tell(card, { kind, text }) {
  const notice = card.querySelector(".notice");
  notice.dataset.kind = kind;
  if (notice.textContent !== text) notice.textContent = text;
  card.classList.toggle("is-gone", kind === "gone");
}

function count(card, { visitors, age }) {
  const place = card.querySelector("output[data-live]");
  place.dataset.at = now() - age; // on this machine's clock, which may be wrong
  if (place.textContent !== String(visitors)) place.textContent = visitors;
  showAges();
}

const lasting = (seconds) => {
  for (const [size, unit] of [[86400, "days"], [3600, "h"], [60, "min"]]) {
    if (seconds >= 2 * size) return `${Math.round(seconds / size)} ${unit}`;
  }
  return `${Math.round(seconds)} s`;
};

/** Grey old numbers, with their age, and drop those that say nothing any more. */
function showAges() {
  for (const place of all("output[data-at]")) {
    const age = now() - place.dataset.at;
    const live = place.closest(".live");
    live.classList.toggle("is-old", age > OLD_LIVE_SECONDS);
    live.querySelector(".ago").textContent = age > OLD_LIVE_SECONDS ? `: ${lasting(age)} ago` : "";
    if (age <= FORGOTTEN_LIVE_SECONDS) continue;
    place.textContent = "–";
    live.querySelector(".ago").textContent = "";
    delete place.dataset.at;
  }
  for (const time of all(".as-of time")) {
    const age = now() - Date.parse(time.dateTime) / 1000;
    time.closest(".board").classList.toggle("is-old", age > OLD_BOARD_SECONDS);
    time.parentElement.querySelector(".ago").textContent = age > OLD_BOARD_SECONDS ? `, ${lasting(age)} ago` : "";
  }
}

/** Tell a bar's figures by pointer, tap and arrow keys; a slider is what reads its value aloud. */
function explain(board) {
  const plot = board.querySelector(".plot");
  if (!plot) return;
  const svg = plot.querySelector("svg");
  const bars = all("g", svg);
  const tip = plot.querySelector(".tip");
  const labels = bars.map((bar) => bar.querySelector("title").textContent);
  for (const title of all("title", svg)) title.remove();
  let at = bars.length - 1;
  const choose = (index) => {
    bars[at].classList.remove("is-chosen");
    at = Math.min(Math.max(index, 0), bars.length - 1);
    bars[at].classList.add("is-chosen");
    tip.textContent = labels[at];
    tip.hidden = false;
    svg.setAttribute("aria-valuenow", at + 1);
    svg.setAttribute("aria-valuetext", labels[at]);
  };
  const leave = () => {
    if (document.activeElement === svg) return;
    tip.hidden = true;
    bars[at].classList.remove("is-chosen");
  };
  const attributes = { role: "slider", tabindex: 0, "aria-valuemin": 1, "aria-valuemax": bars.length };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  choose(at);
  leave();
  const point = ({ target }) => bars.includes(target.parentNode) && choose(bars.indexOf(target.parentNode));
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("focus", () => choose(at));
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -bars.length, End: bars.length };
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(at + steps[event.key]);
  });
}

all(".board").forEach(explain);
document.addEventListener("focusout", () =>
  setTimeout(() => {
    for (const [board, html] of waiting) if (!board.contains(document.activeElement)) show(board, html);
  }),
);
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
addEventListener("pagehide", disconnect);
addEventListener("pageshow", connect);
setInterval(showAges, AGES_SECONDS * 1000);
showAges();
