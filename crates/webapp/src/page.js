// The map of the shop: what every state buys, and what a customer bought last.
"use strict";

// Columns and rows of the states: about where they are, one square each.
const PLACES = {
  ak: [0, 0], me: [11, 0], vt: [10, 1], nh: [11, 1],
  wa: [1, 2], id: [2, 2], mt: [3, 2], nd: [4, 2], mn: [5, 2], wi: [6, 2], mi: [8, 2], ny: [9, 2], ma: [10, 2], ri: [11, 2],
  or: [1, 3], nv: [2, 3], wy: [3, 3], sd: [4, 3], ia: [5, 3], il: [6, 3], in: [7, 3], oh: [8, 3], pa: [9, 3], nj: [10, 3], ct: [11, 3],
  ca: [1, 4], ut: [2, 4], co: [3, 4], ne: [4, 4], mo: [5, 4], ky: [6, 4], wv: [7, 4], va: [8, 4], md: [9, 4], de: [10, 4],
  az: [2, 5], nm: [3, 5], ks: [4, 5], ar: [5, 5], tn: [6, 5], nc: [7, 5], sc: [8, 5], dc: [9, 5],
  ok: [4, 6], la: [5, 6], ms: [6, 6], al: [7, 6], ga: [8, 6],
  hi: [0, 7], tx: [4, 7], fl: [9, 7],
};
const EVERY_MS = 1000;
// A rate is that of so many seconds: sales reach Redis in batches.
const SECONDS = 5;

const at = (id) => document.getElementById(id);
const whole = (number) => Math.round(number).toLocaleString("en-US");
const short = (rate) => rate >= 99.5 ? whole(rate) : rate >= 9.95 ? rate.toFixed(0) : rate.toFixed(1);

const tiles = {};
const seen = [];

function tile(code) {
  const [column, row] = PLACES[code];
  const square = document.createElement("div");
  Object.assign(square.style, { gridColumn: String(column + 1), gridRow: String(row + 1) });
  const [fill, name, rate] = ["i", "b", "span"].map((tag) => document.createElement(tag));
  name.textContent = code.toUpperCase();
  square.append(fill, name, rate);
  at("map").append(square);
  tiles[code] = { square, fill, rate };
}

// Takes an answer of /states that came at `ms`, and shows it.
function show(states, ms) {
  seen.push({ ms, sales: Object.fromEntries(states.map((it) => [it.state, it.sales])) });
  while (seen.length > 2 && ms - seen[1].ms >= SECONDS * 1000) seen.shift();
  const before = seen[0];
  const seconds = (ms - before.ms) / 1000;
  const rates = states.map((it) => seconds > 0 ? Math.max(0, it.sales - (before.sales[it.state] ?? 0)) / seconds : null);
  const most = Math.max(...rates.map((rate) => rate ?? 0));
  states.forEach((it, index) => {
    const { square, fill, rate } = tiles[it.state];
    const now = rates[index];
    rate.textContent = now === null ? "" : short(now);
    fill.style.height = `${most > 0 && now !== null ? Math.round(100 * Math.sqrt(now / most)) : 0}%`;
    square.title = `${it.name}: ${whole(it.sales)} sales, ${whole(it.cents / 100)} US dollars`;
  });
  const sum = (of) => states.reduce((all, it) => all + of(it), 0);
  at("rate").textContent = seconds > 0 ? short(rates.reduce((all, rate) => all + rate, 0)) : "–";
  at("sales").textContent = whole(sum((it) => it.sales));
  at("worth").textContent = whole(sum((it) => it.cents) / 100);
}

async function get(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(5000) });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error ?? answer.status);
  return body;
}

async function poll() {
  try {
    show(await get("states"), performance.now());
    at("trouble").textContent = "";
  } catch (err) {
    at("trouble").textContent = `not up to date: ${err.message}`;
  }
  setTimeout(poll, EVERY_MS);
}

function recent(purchases) {
  if (purchases.length === 0) return "nothing in Redis";
  const table = document.createElement("table");
  const line = (tag, texts) => {
    const row = document.createElement("tr");
    row.append(...texts.map((text) => {
      const cell = document.createElement(tag);
      cell.textContent = text;
      return cell;
    }));
    return row;
  };
  table.append(line("th", ["sale", "simulated day", "store", "US dollars"]));
  table.append(...purchases.map((it) => line("td", [it.id, whole(it.time / 86400), String(it.store), (it.cents / 100).toFixed(2)])));
  return table;
}

async function look(event) {
  event.preventDefault();
  try {
    const { recent: purchases } = await get(`customers/${encodeURIComponent(at("customer").value.trim())}`);
    at("recent").replaceChildren(recent(purchases));
  } catch (err) {
    at("recent").replaceChildren(err.message);
  }
}

Object.keys(PLACES).forEach(tile);
at("who").addEventListener("submit", look);
poll();
