"use strict";

// Fill in the boards that are missing from the page, and keep all boards up to date.

const REFRESH_SECONDS = 60;
const RETRY_SECONDS = 5;
const ASK_AGAIN_SECONDS = 30; // the server drops a board for which no page has asked in the last 90 s
const LIVE_SECONDS = 300; // as long as the server shows a number as current
const FORGET_SECONDS = 10;

const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/** Request a board once; return the seconds until the next try, or 0 after a success. */
async function fill(board) {
  let response;
  try {
    response = await fetch(board.dataset.board, { headers: { Accept: "text/html" } });
  } catch {
    tell(board, "The dashboard does not answer; trying again.");
    return RETRY_SECONDS;
  }
  if (response.ok) {
    show(board, await response.text());
    return 0;
  }
  const { detail } = await response.json().catch(() => ({ detail: "Something went wrong." }));
  const wait = Number(response.headers.get("Retry-After")) || RETRY_SECONDS;
  const retried = `${detail.replace(/\.$/, "")}, about ${lasting(wait)}; this fills in by itself`;
  tell(board, response.headers.has("Retry-After") ? retried : detail);
  return Math.min(wait, ASK_AGAIN_SECONDS);
}

const lasting = (seconds) => (seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`);

function show(board, html) {
  const kept = new Set([...board.querySelectorAll("details[open]")].map((part) => part.dataset.keep));
  board.innerHTML = html; // our own server's, which escapes what it shows
  for (const part of board.querySelectorAll("details")) part.open = kept.has(part.dataset.keep);
  delete board.dataset.pending;
  board.removeAttribute("aria-busy");
}

/** Show a message, unless the board has figures. */
function tell(board, words) {
  const notice = board.querySelector(".notice");
  if (notice) notice.textContent = words;
}

async function keepUpToDate(board) {
  let wait = "pending" in board.dataset ? await fill(board) : 0;
  for (;;) {
    await sleep(wait || REFRESH_SECONDS);
    const isLeftAlone = document.hidden || board.contains(document.activeElement);
    wait = isLeftAlone && !("pending" in board.dataset) ? 0 : await fill(board);
  }
}

function watchLive() {
  const source = new EventSource("/live"); // it connects again by itself
  source.onmessage = ({ data }) => {
    const { site, visitors, age } = JSON.parse(data);
    const place = document.querySelector(`[data-live="${CSS.escape(site)}"]`);
    if (!place) return;
    place.dataset.at = Date.now() / 1000 - age; // on this machine's clock, which may be wrong
    if (place.textContent !== String(visitors)) place.textContent = visitors;
  };
  source.onopen = () => document.body.classList.remove("is-cut-off");
  source.onerror = () => document.body.classList.add("is-cut-off");
  addEventListener("pagehide", () => source.close());
}

/** Clear the numbers that are too old to be current. */
function forgetLive() {
  for (const place of document.querySelectorAll("[data-at]")) {
    if (Date.now() / 1000 - place.dataset.at <= LIVE_SECONDS) continue;
    place.textContent = "–";
    delete place.dataset.at;
  }
}

for (const board of document.querySelectorAll("[data-board]")) keepUpToDate(board);
if (document.querySelector("[data-live]")) watchLive();
setInterval(forgetLive, FORGET_SECONDS * 1000);
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
