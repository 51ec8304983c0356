"use strict";
// Every text from the outside is set as text, never as markup.
const STALE_SECONDS = 5, KAFKA_SILENT_SECONDS = 20, HISTORY = 600, SHOWN = 8;
const history = { rate: [], p99: [], lag: [] };
let last = null, heard = 0, failed = false;

const $ = (id) => document.getElementById(id);
const el = (tag, cls, ...children) => {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  node.append(...children.filter((child) => child !== null));
  return node;
};
const known = (value) => value !== null && value !== undefined;
const UNKNOWN = "\u2013";

// Three digits say all that there is to see in a second.
const digits = (value) => value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
const number = (value) => known(value) ? digits(value) : UNKNOWN;
const count = (value) => known(value) ? value.toLocaleString("en") : UNKNOWN;
const seconds = (value) => !known(value) ? UNKNOWN : value < 120 ? `${value.toFixed(value < 10 ? 1 : 0)} s` : `${digits(value / 60)} min`;
const latency = (us) => !known(us) ? UNKNOWN : us < 1e6 ? `${digits(us / 1e3)} ms` : `${digits(us / 1e6)} s`;
const percent = (ratio) => known(ratio) ? `${digits(ratio * 100)} %` : UNKNOWN;
const amount = (use, value) => {
  if (use.resource === "cpu") return `${digits(value)} CPU`;
  return value >= 2 ** 30 ? `${digits(value / 2 ** 30)} GiB` : `${digits(value / 2 ** 20)} MiB`;
};

function spark(values) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 100 26");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const top = Math.max(...values.filter(known), 1e-9);
  let path = "", pen = "M";
  values.forEach((value, i) => {
    // What wasn't known is a gap.
    if (!known(value)) { pen = "M"; return; }
    const x = values.length < 2 ? 0 : i * 100 / (values.length - 1);
    path += `${pen}${x.toFixed(2)} ${(25 - 23 * value / top).toFixed(2)}`;
    pen = "L";
  });
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

function tile(label, value, unit, note, values, cls) {
  const figure = el("div", `value ${cls || ""}`, value, el("span", "unit", unit ? ` ${unit}` : ""));
  return el("div", "card", el("div", "label", label), figure, el("div", "note", note), values ? spark(values) : null);
}

const ends = (state) => state.stages.filter((stage) => stage.store);
const lastStage = (state) => ends(state).at(-1) || state.stages.at(-1);
// A sale has arrived when the slower store has it.
const slowest = (state) => ends(state).reduce((worst, stage) =>
  (stage.recent?.p99_us ?? -1) > (worst?.recent?.p99_us ?? -1) ? stage : worst, lastStage(state));
const worstLag = (state) => state.stages.reduce((worst, stage) => known(stage.lag) ? Math.max(worst ?? 0, stage.lag) : worst, null);

// A sign beside each verdict, since a colour never speaks alone.
const VERDICTS = new Map([["PASS", ["\u2713", "good"]], ["FAIL", ["\u2717", "bad"]], ["INVALID", ["?", "warn"]], ["COULD_NOT_RUN", ["\u2013", ""]]]);
const when = (us) => known(us) ? `${new Date(us / 1e3).toISOString().slice(0, 16).replace("T", " ")} UTC` : "";
const link = (href, text) => {
  const node = el("a", "", text);
  node.setAttribute("href", href);
  return node;
};

function running(run) {
  const part = known(run.step) ? `step ${run.step}, ${run.phase}` : run.phase;
  const offered = known(run.rate) ? ` at ${number(run.rate)} sales/s` : "";
  const far = known(run.held) || known(run.failed) ? `so far: held ${number(run.held)}, gave way at ${number(run.failed)} sales/s` : "no step is over yet";
  const bar = el("progress");
  bar.setAttribute("max", run.most_seconds);
  bar.setAttribute("value", Math.min(run.elapsed_seconds, run.most_seconds));
  bar.setAttribute("aria-label", "time used of the most that this run takes");
  return el("div", "card run", el("div", "label", `Benchmark ${run.name} is running (${run.mode})`), el("b", "", `${part}${offered}`),
    el("span", "unit", run.doing === run.phase ? "" : ` ${run.doing}`),
    el("div", "note", `${far}; ${seconds(run.elapsed_seconds)} of at most ${seconds(run.most_seconds)}`), bar);
}

function result(it) {
  const [sign, cls] = VERDICTS.get(it.verdict) ?? ["?", ""];
  const word = it.verdict ? it.verdict.replaceAll("_", " ") : "not readable";
  const decided = it.verdict === "PASS" ? it.headline : [it.headline, it.reason].filter(Boolean).join(": ");
  return el("div", "result", el("span", `word ${cls}`, `${sign} ${word}`),
    el("span", "said", [decided, it.remark].filter(Boolean).join("; ")),
    el("span", "note", [it.name, when(it.ended_us)].filter(Boolean).join(", ")),
    it.html ? link(it.html, "report") : null, it.json ? link(it.json, "capsule") : null);
}

function benchmark(state) {
  const results = state.results ?? [];
  $("benchmark").replaceChildren(...[
    state.benchmark ? running(state.benchmark) : null,
    results.length ? el("div", "card", el("div", "label", "Last verdicts"), ...results.map(result)) : null,
  ].filter(Boolean));
}

function findings(found) {
  if (!found) return tile("Findings", UNKNOWN, "", "the auditor says nothing yet");
  const worst = found.counts.filter((it) => it.findings > 0).sort((a, b) => b.findings - a.findings).slice(0, 3);
  const named = worst.map((it) => `${count(it.findings)} ${it.kind.replaceAll("_", " ")} at ${it.stage}`).join(", ");
  const judged = found.auditable ? "every sale that was judged is right" : "not everything can be judged";
  const note = [named || judged, ...(found.remarks ?? [])].join("; ");
  return tile("Findings", count(found.total), found.total === 1 ? "finding" : "findings", note, null,
    found.total > 0 ? "bad" : found.auditable ? "good" : "warn");
}

function kafkaTile(kafka) {
  if (!kafka) return tile("Kafka", UNKNOWN, "brokers", "has not answered yet");
  const silent = kafka.age_seconds > KAFKA_SILENT_SECONDS;
  const note = silent ? `answered ${seconds(kafka.age_seconds)} ago` : `${kafka.under_replicated} under-replicated, ${kafka.leaderless} leaderless`;
  return tile("Kafka", count(kafka.brokers), kafka.brokers === 1 ? "broker" : "brokers", note, null,
    silent || kafka.leaderless ? "bad" : kafka.under_replicated ? "warn" : "");
}

function tiles(state) {
  const end = lastStage(state), slow = slowest(state), load = state.load || {};
  const lag = worstLag(state), drain = known(lag) && end?.rate > 0 ? `${seconds(lag / end.rate)} at today's rate` : "";
  const untold = state.stages.filter((stage) => !known(stage.lag)).map((stage) => stage.name).join(", ");
  const negative = slow?.recent?.negative ? `; ${count(slow.recent.negative)} below zero: clocks differ` : "";
  const late = load.schedule_lag?.p99_us;
  const worst = state.resources[0];
  const short = known(load.asked) && known(load.sent) && load.sent < 0.95 * load.asked;
  $("tiles").replaceChildren(
    findings(state.findings),
    tile("Offered", number(load.sent), "sales/s", `of ${number(load.asked)} asked`, null, short ? "warn" : ""),
    tile(`Arrived: ${end?.name ?? ""}`, number(end?.rate), "sales/s", `${count(end?.sales)} in all`, history.rate),
    tile(`p99 from due to ${slow?.name ?? ""}`, latency(slow?.recent?.p99_us), "", `last 10 s, n = ${count(slow?.recent?.n)}${negative}`, history.p99),
    tile("Lag", count(lag), "sales", untold ? `not known of ${untold}` : drain || "accepted and not found yet", history.lag),
    tile("Schedule lag p99", latency(late), "", `due to handed over; blocked p99 ${latency(load.blocked?.p99_us)}`, null, late > 5e4 ? "warn" : ""),
    kafkaTile(state.kafka),
    tile("Nearest limit", worst ? percent(worst.ratio) : UNKNOWN, "", worst ? `${worst.resource} of ${worst.pod}` : "no limits known",
      null, worst?.ratio > 0.95 ? "bad" : worst?.ratio > 0.8 ? "warn" : ""),
  );
}

// What takes most of a role's time.
const mostly = (time) => {
  const [activity, share] = Object.entries(time).sort((a, b) => b[1] - a[1])[0];
  return `${activity.replaceAll("_", " ")}, ${percent(share)}`;
};

function flow(state) {
  const boxes = [];
  let marked = false, before;
  for (const stage of state.stages) {
    // Stages behind the same one are filled side by side.
    if (boxes.length) boxes.push(el("span", "arrow", stage.after === before ? "+" : "\u2192"));
    before = stage.after;
    // The first that falls behind by more than two seconds of sales is where to look.
    const behind = !marked && known(stage.lag) && stage.rate !== null && stage.lag > 2 * Math.max(stage.rate, 1);
    marked = marked || behind;
    const facts = el("dl");
    const fact = (name, value, cls) => facts.append(el("dt", "", name), el("dd", cls || "", value));
    fact("total", count(stage.sales));
    if (stage.after) fact("lag", count(stage.lag), behind ? "warn" : "");
    fact("p99", latency(stage.recent?.p99_us));
    // Only of roles that say where their time goes.
    if (stage.time) fact("mostly", mostly(stage.time));
    if (known(stage.ceiling)) fact("ceiling", `${number(stage.ceiling)}/s`);
    fact("age", seconds(stage.age_seconds), stage.stale ? "bad" : "");
    fact("pods", stage.stale ? `${stage.instances - stage.stale} of ${stage.instances} report` : count(stage.instances), stage.stale ? "bad" : "");
    boxes.push(el("div", `card ${stage.stale ? "stale" : behind ? "behind" : ""}`,
      el("div", "label", behind ? `${stage.name}: behind` : stage.name), el("div", "value", number(stage.rate), el("span", "unit", " sales/s")), facts));
  }
  $("flow").replaceChildren(...boxes);
}

function table(id, heads, rows, empty) {
  const cell = (value) => value instanceof Node ? value : el("td", "", value);
  const body = rows.length ? rows.map((row) => el("tr", "", ...row.map(cell))) : [el("tr", "", el("td", "note", empty))];
  $(id).replaceChildren(el("tr", "", ...heads.map((head) => el("th", "", head))), ...body);
}

function bar(ratio) {
  const fill = el("i", ratio > 0.95 ? "bad" : ratio > 0.8 ? "warn" : "");
  fill.style.width = `${Math.min(100, ratio * 100)}%`;
  return el("td", "", el("span", "bar", fill), percent(ratio));
}

function tables(state) {
  table("resources", ["pod", "limit", "used", "share", "throttled"], state.resources.slice(0, SHOWN).map((use) =>
    [use.pod + (use.stale ? " (stale)" : ""), `${use.container}: ${use.resource}`, `${amount(use, use.used)} of ${amount(use, use.limit)}`, bar(use.ratio), percent(use.throttled)]),
    "no container has a limit");
  table("latency", ["stage", "p50", "p90", "p99", "p99.9", "max", "n", "below zero"], state.stages.map(({ name, latency: all }) =>
    [name, ...["p50_us", "p90_us", "p99_us", "p999_us", "max_us"].map((key) => latency(all?.[key])), count(all?.n), count(all?.negative)]), "no stage");
  table("groups", ["consumer group", "members", "lag (offsets)"], (state.kafka?.groups ?? []).map((group) =>
    [group.name, count(group.members), count(group.lag)]), "no consumer group known yet");
  table("instances", ["pod", "component", "node", "age", ""], state.instances.map((it) =>
    [it.pod ?? it.address, it.component, it.node || UNKNOWN, el("td", it.stale ? "bad" : "", known(it.age_seconds) ? seconds(it.age_seconds) : "never heard"), el("td", "error bad", it.error ?? "")]),
    "no instance is known: does EXPORTER_TARGETS name them?");
}

function show(state) {
  const now = { rate: lastStage(state)?.rate, p99: slowest(state)?.recent?.p99_us, lag: worstLag(state) };
  for (const [name, values] of Object.entries(history)) {
    values.push(now[name] ?? null);
    if (values.length > HISTORY) values.shift();
  }
  benchmark(state);
  tiles(state);
  flow(state);
  tables(state);
}

// Shown even while nothing comes: the age grows, and the figures stay what they were.
function age() {
  if (!last) return;
  const since = (performance.now() - heard) / 1e3;
  const ages = last.instances.map((it) => it.age_seconds).filter(known);
  const oldest = Math.max(...ages, 0) + since;
  const old = oldest > STALE_SECONDS || !ages.length;
  $("age").textContent = ages.length ? `data at most ${seconds(oldest)} old` : "no data yet";
  $("age").className = `age ${old ? "bad" : ""}`;
  const stale = last.instances.filter((it) => it.stale).length;
  const kafka = last.kafka;
  const troubles = [
    failed ? "the exporter does not answer" : "",
    stale ? `${stale} of ${last.instances.length} instances do not report` : "",
    kafka && kafka.age_seconds + since > KAFKA_SILENT_SECONDS ? "Kafka does not answer" : "",
  ];
  const text = troubles.filter(Boolean).join("; ");
  // Announced to those who don't see it: only when it changes.
  if ($("trouble").textContent !== text) $("trouble").textContent = text;
}

async function refresh() {
  try {
    const response = await fetch("api/v1/state", { cache: "no-store", signal: AbortSignal.timeout(4000) });
    if (!response.ok) throw new Error(response.statusText);
    last = await response.json();
    heard = performance.now();
    failed = false;
    show(last);
  } catch (error) {
    failed = true;
    if (!last) $("age").textContent = "the exporter does not answer";
  }
  age();
  setTimeout(refresh, 1000);
}
refresh();
