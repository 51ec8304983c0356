// What the map shows of an answer. Run by `node --test crates/webapp/tests/page.test.mjs`: the script runs as it is, in a document
// that keeps what is put into it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const SCRIPT = readFileSync(new URL("../src/page.js", import.meta.url), "utf8");

class Element {
  constructor() { Object.assign(this, { children: [], style: {}, textContent: "", title: "" }); }
  append(...children) { this.children.push(...children); }
  addEventListener() {}
}

function opened() {
  const elements = {};
  const document = { getElementById: (id) => (elements[id] ??= new Element()), createElement: () => new Element() };
  const context = vm.createContext({
    document, performance: { now: () => 0 }, AbortSignal: { timeout: () => null }, fetch: () => new Promise(() => {}), setTimeout: () => {},
  });
  vm.runInContext(SCRIPT, context);
  const show = (sold, ms) => {
    context.given = Object.keys(vm.runInContext("PLACES", context)).map((state) => {
      const [sales, cents] = sold[state] ?? [0, 0];
      return { state, name: state, sales, cents };
    });
    context.ms = ms;
    vm.runInContext("show(given, ms)", context);
  };
  const tile = (code) => vm.runInContext(`tiles["${code}"]`, context);
  return { elements, show, tile, places: vm.runInContext("PLACES", context) };
}

test("every state has a square of its own", () => {
  const { elements, places } = opened();
  assert.equal(elements.map.children.length, 51);
  assert.equal(new Set(Object.values(places).map(String)).size, 51);
});

test("a rate is what came since the answer of some seconds ago, and the first answer has none", () => {
  const { elements, show, tile } = opened();
  show({ ca: [100, 5000], tx: [7, 100] }, 0);
  assert.equal(elements.rate.textContent, "–");
  assert.equal(tile("ca").rate.textContent, "");
  show({ ca: [160, 9000], tx: [22, 200] }, 2000);
  assert.deepEqual([elements.rate.textContent, elements.sales.textContent, elements.worth.textContent], ["38", "182", "92"]);
  assert.deepEqual([tile("ca").rate.textContent, tile("tx").rate.textContent, tile("ak").rate.textContent], ["30", "7.5", "0.0"]);
  assert.deepEqual([tile("ca").fill.style.height, tile("tx").fill.style.height, tile("ak").fill.style.height], ["100%", "50%", "0%"]);
  show({ ca: [160, 9000], tx: [22, 200] }, 6000);
  show({ ca: [160, 9000], tx: [22, 200] }, 8000);
  assert.equal(elements.rate.textContent, "0.0", "what came earlier is forgotten");
});

test("a Redis that lost its totals shows no negative rate", () => {
  const { elements, show } = opened();
  show({ ca: [100, 5000] }, 0);
  show({ ca: [3, 50] }, 1000);
  assert.equal(elements.rate.textContent, "0.0");
});
