// What the live page shows of a state. Run by `node --test crates/exporter/tests/page.test.mjs`: the script runs as it is, in
// a document that keeps what is put into it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

const SCRIPT = readFileSync(new URL("../src/page.js", import.meta.url), "utf8");

class Node {
  constructor(tag) {
    Object.assign(this, { tag, className: "", children: [], style: {}, attributes: {}, sets: 0 });
  }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  setAttribute(name, value) { this.attributes[name] = value; }
  get textContent() { return this.children.map((child) => child instanceof Node ? child.textContent : String(child)).join(""); }
  set textContent(text) { this.sets += 1; this.children = [text]; }
  find(cls) {
    return this.children.filter((child) => child instanceof Node)
      .flatMap((child) => [...(child.className.split(" ").includes(cls) ? [child] : []), ...child.find(cls)]);
  }
}

// The page after an answer of the exporter's.
function page(...states) {
  const nodes = {};
  const document = {
    getElementById: (id) => (nodes[id] ??= new Node(id)),
    createElement: (tag) => new Node(tag),
    createElementNS: (_, tag) => new Node(tag),
  };
  const context = vm.createContext({
    document, Node, performance: { now: () => 0 }, AbortSignal: { timeout: () => null },
    fetch: () => new Promise(() => {}), setTimeout: () => {},
  });
  vm.runInContext(SCRIPT, context);
  for (const state of states) {
    context.given = state;
    vm.runInContext("last = given; heard = 0; show(given); age();", context);
  }
  const tile = (label) => {
    const found = nodes.tiles.children.find((card) => card.find("label")[0].textContent.startsWith(label));
    const value = found.find("value")[0];
    return { label: found.find("label")[0].textContent, value: String(value.children[0]), note: found.find("note")[0].textContent, cls: value.className };
  };
  const row = (id, first) => nodes[id].children.map((row) => row.children.map((cell) => cell.textContent)).find((cells) => cells[0] === first);
  return { nodes, tile, row };
}

const none = { n: 0, negative: 0, p50_us: null, p90_us: null, p99_us: null, p999_us: null, max_us: null };
const p99 = (ms) => ({ ...none, n: 9, p99_us: ms * 1000 });
// Two stores are filled from the topics of the states.
const FROM = { routed: { after: "accepted" }, cached: { after: "routed", store: "redis" }, stored: { after: "routed", store: "postgres" } };
const stage = (name, more) => ({
  name, component: name, ...(FROM[name] ?? { after: null }), sales: 100, rate: 10, lag: 0, latency: none, recent: p99(1), age_seconds: 0.5, instances: 1, stale: 0, ...more,
});
const state = (more) => ({
  at_us: 0, load: null, instances: [{ age_seconds: 0.5, stale: false, component: "loader" }], resources: [], kafka: null,
  findings: null, stages: [stage("accepted"), stage("routed"), stage("cached"), stage("stored")], ...more,
});
const findings = (total, counts = [], more = {}) => ({ age_seconds: 0, auditable: true, total, counts, ...more });

test("findings are green at 0, red above, and unknown without an auditor", () => {
  assert.equal(page(state({ findings: findings(0) })).tile("Findings").value, "0");
  assert.match(page(state({ findings: findings(0) })).tile("Findings").cls, /good/);
  const counts = [{ stage: "routed", kind: "altered", findings: 1 }, { stage: "stored", kind: "lost", findings: 3 }, { stage: "cached", kind: "lost", findings: 0 }];
  const found = page(state({ findings: findings(4, counts) })).tile("Findings");
  assert.equal(found.value, "4");
  assert.match(found.cls, /bad/);
  assert.equal(found.note, "3 lost at stored, 1 altered at routed");
  const unknown = page(state({})).tile("Findings");
  assert.equal(unknown.value, "\u2013");
  assert.doesNotMatch(unknown.cls, /good|bad/);
});

test("an account that can't judge everything is not green", () => {
  const tile = page(state({ findings: findings(0, [], { auditable: false, remarks: ["it reads late"] }) })).tile("Findings");
  assert.match(tile.cls, /warn/);
  assert.equal(tile.note, "not everything can be judged; it reads late");
});

test("p99 is that of the slower store, whichever is listed last", () => {
  const stages = [stage("accepted"), stage("routed"), stage("cached", { recent: p99(900) }), stage("stored", { recent: p99(40) })];
  const { label, value } = page(state({ stages })).tile("p99");
  assert.deepEqual([label, value], ["p99 from due to cached", "900 ms"]);
});

test("a percentile of nothing is unknown, and what is below zero is said", () => {
  const negative = { ...none, negative: 7 };
  const shown = page(state({ stages: [stage("accepted"), stage("stored", { recent: negative, latency: negative })] }));
  assert.equal(shown.tile("p99").value, "\u2013");
  assert.match(shown.tile("p99").note, /7 below zero: clocks differ/);
  assert.deepEqual(shown.row("latency", "stored").slice(1), ["\u2013", "\u2013", "\u2013", "\u2013", "\u2013", "0", "7"]);
});

test("a lag that one stage can't tell is not taken for 0", () => {
  const stages = [stage("accepted"), stage("routed", { lag: null }), stage("stored", { lag: 5 })];
  assert.match(page(state({ stages })).tile("Lag").note, /not known of routed/);
  assert.equal(page(state({ stages: [stage("routed", { lag: null })] })).tile("Lag").value, "\u2013");
});

test("the first stage that is behind says so in words", () => {
  const stages = [stage("accepted"), stage("routed", { lag: 900 }), stage("stored", { lag: 900 })];
  const labels = page(state({ stages })).nodes.flow.find("label").map((label) => label.textContent);
  assert.deepEqual(labels, ["accepted", "routed: behind", "stored"]);
});

test("stages behind the same one are shown side by side, whatever they are called", () => {
  const arrows = (...stages) => page(state({ stages })).nodes.flow.find("arrow").map((arrow) => arrow.textContent);
  const [first, ...rest] = [stage("accepted"), stage("routed"), stage("cached"), stage("stored")];
  assert.deepEqual(arrows(first, ...rest), ["\u2192", "\u2192", "+"]);
  const archived = stage("archived", { after: "routed", store: "archive", recent: p99(700) });
  const returned = stage("returned", { after: "stored" });
  assert.deepEqual(arrows(first, ...rest, archived, returned), ["\u2192", "\u2192", "+", "+", "\u2192"]);
  const slower = page(state({ stages: [first, ...rest, archived, returned] })).tile("p99");
  assert.deepEqual([slower.label, slower.value], ["p99 from due to archived", "700 ms"]);
});

test("a role that says where its time goes is shown with its ceiling", () => {
  const time = { working: 0.2, waiting_for_input: 0.1, waiting_for_kafka: 0, waiting_for_store: 0.7 };
  const shown = page(state({ stages: [stage("accepted"), stage("stored", { time, ceiling: 111 })] })).nodes.flow.textContent;
  assert.match(shown, /mostlywaiting for store, 70 %/);
  assert.match(shown, /ceiling111\/s/);
});

const run = (more) => ({
  name: "run-7", mode: "default", phase: "bisect", doing: "measure", step: 9, rate: 3200, held: 3000, failed: 3500,
  elapsed_seconds: 725, most_seconds: 1938, ...more,
});
const result = (more) => ({
  name: "run-6", verdict: "PASS", headline: "3,000 sales/s", reason: "they hold", line: "verdict=PASS", kapture: "0.1.0",
  began_us: 1.7e15, ended_us: 1.7e15, html: "results/run-6.html", json: "results/run-6.json", remark: null, ...more,
});
const links = (node) => node.children.filter((child) => child.attributes?.href).map((child) => child.attributes.href);

test("a benchmark that runs is shown at the top with its step, its bracket and its time", () => {
  const { nodes } = page(state({ benchmark: run(), results: [] }));
  const [card, ...others] = nodes.benchmark.children;
  assert.equal(others.length, 0);
  assert.match(card.textContent, /Benchmark run-7 is running \(default\)step 9, bisect at 3,200 sales\/s measure/);
  assert.match(card.textContent, /so far: held 3,000, gave way at 3,500 sales\/s; 12\.1 min of at most 32\.3 min/);
  const [bar] = card.children.filter((child) => child.tag === "progress");
  assert.deepEqual([bar.attributes.value, bar.attributes.max], [725, 1938]);
  const begun = page(state({ benchmark: run({ phase: "preflight", doing: "preflight", step: null, rate: null, held: null, failed: null }) }));
  assert.match(begun.nodes.benchmark.textContent, /\(default\)preflightno step is over yet/);
});

test("the last verdicts are shown with a sign, why, and links to what is kept", () => {
  const results = [
    result({ name: "run-9", verdict: "INVALID", headline: "no rate held", reason: "clocks agree: 80 ms" }),
    result({ name: "run-8", html: null, remark: "the page was too large" }),
    result(),
  ];
  const [card] = page(state({ results })).nodes.benchmark.children;
  const [invalid, without, pass] = card.find("result");
  assert.equal(invalid.find("word")[0].textContent, "? INVALID");
  assert.match(invalid.find("word")[0].className, /warn/);
  assert.equal(invalid.find("said")[0].textContent, "no rate held: clocks agree: 80 ms");
  assert.deepEqual([without.find("said")[0].textContent, links(without)], ["3,000 sales/s; the page was too large", ["results/run-6.json"]]);
  assert.equal(pass.find("word")[0].textContent, "\u2713 PASS");
  assert.equal(pass.find("note")[0].textContent, "run-6, 2023-11-14 22:13 UTC");
  assert.deepEqual(links(pass), ["results/run-6.html", "results/run-6.json"]);
});

test("a result of another version has its name, its verdict and the reason for no more", () => {
  const blank = { headline: null, reason: null, line: null, kapture: null, began_us: null, ended_us: null, html: null, json: null };
  const results = [
    result({ ...blank, name: "a", verdict: "FAIL", remark: "it was written by Kapture 0.9.0" }),
    result({ ...blank, name: "b", verdict: null, remark: "its record is not a result" }),
    result({ ...blank, name: "c", verdict: "__proto__", remark: "<img src=x>" }),
  ];
  const texts = page(state({ results })).nodes.benchmark.children[0].find("result").map((row) => row.textContent);
  assert.deepEqual(texts, ["\u2717 FAILit was written by Kapture 0.9.0a", "? not readableits record is not a resultb", "?   proto  <img src=x>c"]);
});

test("without a benchmark and without results nothing is at the top", () => {
  assert.equal(page(state({ results: null })).nodes.benchmark.children.length, 0);
  assert.equal(page(state({})).nodes.benchmark.children.length, 0);
});

test("what is wrong is announced when it changes, and not each second", () => {
  const kafka = { age_seconds: 30, brokers: 3, under_replicated: 0, leaderless: 0, groups: [{ name: "g", members: 1, lag: null }], error: "timed out" };
  const later = { ...kafka, age_seconds: 31 };
  const { nodes, tile, row } = page(state({ kafka }), state({ kafka: later }), state({ kafka: later }));
  assert.equal(nodes.trouble.textContent, "Kafka does not answer");
  assert.equal(nodes.trouble.sets, 1);
  assert.match(tile("Kafka").note, /31 s ago/);
  assert.equal(row("groups", "g")[2], "\u2013");
});
